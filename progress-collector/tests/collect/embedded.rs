//! DynamoDB embedded, over loopback HTTP, behind the client of production.

use std::sync::Arc;

use dynoxide::Database;
use progress_collector::Parts;
use shared::checkpoint::dynamodb::DynamoDbCheckpointStore;
use shared::config::StoreConfig;
use shared::store::dynamodb::{DynamoDbProjectStore, DynamoDbTaskStore};
use shared::store::tables::create_tables;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A DynamoDB with the three tables, which ends when it is dropped.
pub(crate) struct Embedded {
    endpoint_url: String,
    client: aws_sdk_dynamodb::Client,
    config: StoreConfig,
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
        let endpoint_url = format!("http://{}", listener.local_addr().unwrap());
        let database = Database::memory().unwrap();
        let server = tokio::spawn(dynoxide::server::serve_on(listener, database));
        let client = shared::aws::local_dynamodb(&endpoint_url);
        let config = StoreConfig {
            tasks_table: "tasks".to_owned(),
            projects_table: "projects".to_owned(),
            checkpoints_table: Some("checkpoints".to_owned()),
            index_shards: 2,
        };
        create_tables(&client, &config).await.unwrap();
        Self {
            endpoint_url,
            client,
            config,
            server,
        }
    }

    pub(crate) fn tasks(&self) -> DynamoDbTaskStore {
        DynamoDbTaskStore::new(self.client.clone(), &self.config)
    }

    /// `parts`, but with stores on this DynamoDB.
    pub(crate) fn parts(&self, parts: Parts) -> Parts {
        let client = || self.client.clone();
        Parts {
            tasks: Arc::new(self.tasks()),
            projects: Arc::new(DynamoDbProjectStore::new(client(), &self.config)),
            checkpoints: Arc::new(DynamoDbCheckpointStore::new(client(), "checkpoints")),
            ..parts
        }
    }

    /// Where it listens.
    pub(crate) fn endpoint_url(&self) -> &str {
        &self.endpoint_url
    }
}
