//! An embedded DynamoDB, over loopback HTTP.

use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use dynoxide::Database;
use shared::checkpoint::dynamodb::DynamoDbCheckpointStore;
use shared::config::StoreConfig;
use shared::store::conformance::Stores;
use shared::store::dynamodb::{DynamoDbProjectStore, DynamoDbTaskStore};
use shared::store::tables::create_tables;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A DynamoDB that ends when it is dropped.
pub(crate) struct Embedded {
    pub(crate) client: Client,
    pub(crate) config: StoreConfig,
    server: JoinHandle<()>,
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Embedded {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let database = Database::memory().unwrap();
        let server = tokio::spawn(dynoxide::server::serve_on(listener, database));
        let client = shared::aws::local_dynamodb(&format!("http://{address}"));
        let config = StoreConfig {
            tasks_table: "tasks".to_owned(),
            projects_table: "projects".to_owned(),
            checkpoints_table: Some("checkpoints".to_owned()),
            index_shards: 3,
        };
        create_tables(&client, &config).await.unwrap();
        Self {
            client,
            config,
            server,
        }
    }

    pub(crate) fn tasks(&self) -> DynamoDbTaskStore {
        DynamoDbTaskStore::new(self.client.clone(), &self.config)
    }

    pub(crate) fn stores(&self) -> Stores {
        Stores {
            tasks: Arc::new(self.tasks()),
            projects: Arc::new(DynamoDbProjectStore::new(self.client.clone(), &self.config)),
            checkpoints: Arc::new(DynamoDbCheckpointStore::new(
                self.client.clone(),
                "checkpoints",
            )),
        }
    }
}
