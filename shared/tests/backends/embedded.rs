//! An embedded DynamoDB, over loopback HTTP.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
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
    pub(crate) address: String,
    server: JoinHandle<()>,
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Embedded {
    pub(crate) async fn start() -> Self {
        let embedded = Self::start_empty().await;
        create_tables(&embedded.client, &embedded.config)
            .await
            .unwrap();
        embedded
    }

    /// Starts it without any table.
    pub(crate) async fn start_empty() -> Self {
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
        Self {
            client,
            config,
            address: address.to_string(),
            server,
        }
    }

    /// Ends it, so that nobody answers any more.
    pub(crate) async fn stop(mut self) -> Self {
        self.server.abort();
        drop((&mut self.server).await);
        self
    }

    /// An item as it is stored.
    pub(crate) async fn item(
        &self,
        table: &str,
        key: &[(&str, AttributeValue)],
    ) -> HashMap<String, AttributeValue> {
        let mut request = self.client.get_item().table_name(table);
        for (name, value) in key {
            request = request.key(*name, value.clone());
        }
        request.send().await.unwrap().item.unwrap()
    }

    /// Stores an item as it is.
    pub(crate) async fn put(&self, table: &str, item: HashMap<String, AttributeValue>) {
        let request = self.client.put_item().table_name(table);
        request.set_item(Some(item)).send().await.unwrap();
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
