//! DynamoDB inside this process, reached over loopback, so that the client and its requests are those of
//! production. For tests and for a laptop.
//!
//! It answers only callers that hold its access key, which is random for each process. See [`server`].

mod server;

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::{fmt, io};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use dynoxide::{Database, ImportOptions, Item};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use uuid::Uuid;

use shared::aws;
use shared::checkpoint::dynamodb::DynamoDbCheckpointStore;
use shared::config::StoreConfig;
use shared::error::Source;
use shared::model::Task;
use shared::store::dynamodb::{DynamoDbProjectStore, DynamoDbTaskStore, head_item};
use shared::store::tables::create_tables;
use shared::store::{StoreError, Stores};

/// Why it is not there.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// There is no address to listen on.
    #[error("can't listen for the embedded DynamoDB")]
    Listen(#[source] io::Error),
    /// Its database can't be opened.
    #[error("can't open the embedded DynamoDB")]
    Open(#[source] Source),
    /// The tables can't be made.
    #[error("can't set up the tables")]
    Tables(#[source] StoreError),
    /// It can't be filled.
    #[error("can't put tasks into the embedded DynamoDB")]
    Fill(#[source] Source),
}

/// DynamoDB inside this process, with the three tables; it ends when this is dropped.
pub struct EmbeddedDynamoDb {
    /// Its client.
    pub client: Client,
    /// Its tables.
    pub config: StoreConfig,
    /// Its URL.
    pub endpoint_url: String,
    /// The access key id that requests must carry. It is a secret of this process.
    access_key_id: String,
    database: Database,
    server: JoinHandle<()>,
}

impl fmt::Debug for EmbeddedDynamoDb {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("EmbeddedDynamoDb")
            .field("endpoint_url", &self.endpoint_url)
            .finish_non_exhaustive()
    }
}

impl Drop for EmbeddedDynamoDb {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl EmbeddedDynamoDb {
    /// An empty one in memory, on a free port of the loopback address. Its tables are `tasks`, `projects` and
    /// `checkpoints`, in three shards.
    pub async fn start() -> Result<Self, EmbeddedError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let config = StoreConfig {
            tasks_table: "tasks".to_owned(),
            projects_table: "projects".to_owned(),
            checkpoints_table: Some("checkpoints".to_owned()),
            index_shards: 3,
        };
        Self::serve(listener.map_err(EmbeddedError::Listen)?, None, config).await
    }

    /// One that `listener` leads to, on what `file` holds or else in memory, with the tables of `config`, which are
    /// made if need be.
    pub async fn serve(
        listener: TcpListener,
        file: Option<&Path>,
        config: StoreConfig,
    ) -> Result<Self, EmbeddedError> {
        let address = listener.local_addr().map_err(EmbeddedError::Listen)?;
        let database = match file {
            Some(file) => Database::new(&file.to_string_lossy()),
            None => Database::memory(),
        };
        let database = database.map_err(|error| EmbeddedError::Open(error.into()))?;
        let access_key_id = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let serving = server::serve(listener, database.clone(), access_key_id.clone());
        let server = tokio::spawn(serving);
        let endpoint_url = format!("http://{address}");
        let dynamodb = Self {
            client: aws::local_dynamodb(&endpoint_url, &access_key_id),
            config,
            endpoint_url,
            access_key_id,
            database,
            server,
        };
        let made = create_tables(&dynamodb.client, &dynamodb.config).await;
        made.map_err(EmbeddedError::Tables)?;
        Ok(dynamodb)
    }

    /// Ends it and waits until nobody answers any more.
    pub async fn stop(mut self) {
        self.server.abort();
        drop((&mut self.server).await); // that it was aborted is what was asked for
    }

    /// The environment in which a program on this machine uses it.
    pub fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("AWS_ENDPOINT_URL_DYNAMODB", self.endpoint_url.clone()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", self.access_key_id.clone()),
            // Signatures are not checked: the key id is the secret.
            ("AWS_SECRET_ACCESS_KEY", "local".to_owned()),
        ]
    }

    /// The database itself, for what its clients can't ask for.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Its tasks.
    pub fn tasks(&self) -> DynamoDbTaskStore {
        DynamoDbTaskStore::new(self.client.clone(), &self.config)
    }

    /// Puts the heads of many tasks there at once, past its interface, for who measures what a large table costs. They
    /// have no history, and no project counts them.
    pub fn fill(&self, tasks: impl IntoIterator<Item = Task>) -> Result<(), EmbeddedError> {
        let item = |task| -> Result<Item, EmbeddedError> {
            let head = head_item(&task, self.config.index_shards);
            let head = head.map_err(|error| EmbeddedError::Fill(error.into()))?;
            Ok(head.into_iter().map(imported).collect())
        };
        let items = tasks.into_iter().map(item).collect::<Result<_, _>>()?;
        let table = &self.config.tasks_table;
        let done = self
            .database
            .import_items(table, items, ImportOptions::default());
        done.map(drop)
            .map_err(|error| EmbeddedError::Fill(error.into()))
    }

    /// All that it keeps; checkpoints in the table that `config` names, or else in one that is not there.
    pub fn stores(&self) -> Stores {
        let checkpoints = self.config.checkpoints_table.clone().unwrap_or_default();
        Stores {
            tasks: Arc::new(self.tasks()),
            projects: Arc::new(DynamoDbProjectStore::new(self.client.clone(), &self.config)),
            checkpoints: Arc::new(DynamoDbCheckpointStore::new(
                self.client.clone(),
                checkpoints,
            )),
        }
    }
}

/// An attribute of the client as one of the database. Heads have these kinds alone.
fn imported((name, value): (String, AttributeValue)) -> (String, dynoxide::AttributeValue) {
    let value = match value {
        AttributeValue::N(number) => dynoxide::AttributeValue::N(number),
        AttributeValue::S(text) => dynoxide::AttributeValue::S(text),
        other => unreachable!("a head has an attribute {other:?}"),
    };
    (name, value)
}
