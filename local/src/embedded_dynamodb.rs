//! DynamoDB inside this process, for tests and for a laptop.
//!
//! The AWS SDK talks to it over loopback, so the client and its requests are those of production. It answers only
//! requests that have its access key id, a random secret of each process.

mod damage;
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

pub use self::damage::Damage;
pub(crate) use self::server::access_key_id_of;
use shared::aws;
use shared::checkpoint::CheckpointStore;
use shared::checkpoint::dynamodb::DynamoDbCheckpointStore;
use shared::config::StoreConfig;
use shared::error::Source;
use shared::model::Task;
use shared::store::dynamodb::{DynamoDbProjectStore, DynamoDbTaskStore, head_item};
use shared::store::tables::create_tables;
use shared::store::{ProjectStore, StoreError, TaskStore};

/// Why the embedded DynamoDB can't be used.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// No address can be listened on.
    #[error("can't listen for requests to the embedded DynamoDB: try again")]
    Listen(#[source] io::Error),
    /// The database can't be opened.
    #[error(
        "can't open the database {database} and its journal {database}-wal: make both and their \
         directory writable, or move them away if they are damaged"
    )]
    Open {
        /// The file; `:memory:` without one.
        database: String,
        /// The engine's error.
        #[source]
        source: Source,
    },
    /// The tables can't be created.
    #[error(
        "can't create the tables in the database {database}: free space; if it is damaged, move it \
         and its journal {database}-wal away"
    )]
    Tables {
        /// The file; `:memory:` without one.
        database: String,
        /// The engine's error.
        #[source]
        source: StoreError,
    },
    /// Tasks can't be imported.
    #[error("can't import tasks into the embedded DynamoDB: check the tasks")]
    Fill(#[source] Source),
}

/// DynamoDB inside this process, with the three tables. It accepts no more connections once this is dropped.
pub struct EmbeddedDynamoDb {
    /// A client that has the access key id.
    pub client: Client,
    /// The names of the tables.
    pub config: StoreConfig,
    /// The URL it listens on.
    pub endpoint_url: String,
    /// The access key id that requests must have: a secret of this process.
    access_key_id: String,
    database: Database,
    damage: Arc<Damage>,
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
    /// Starts an empty one in memory, on a free port of the loopback address. Its tables are `tasks`, `projects`
    /// and `checkpoints`, with three shards.
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

    /// Starts one on `listener`, with the data in `file`, or in memory without one. Creates the tables of `config`
    /// that do not exist.
    pub async fn serve(
        listener: TcpListener,
        file: Option<&Path>,
        config: StoreConfig,
    ) -> Result<Self, EmbeddedError> {
        let address = listener.local_addr().map_err(EmbeddedError::Listen)?;
        let name = file.map_or_else(|| ":memory:".into(), Path::to_string_lossy);
        let database = match file {
            Some(_) => Database::new(&name),
            None => Database::memory(),
        };
        let database = database.map_err(|error| EmbeddedError::Open {
            database: name.clone().into_owned(),
            source: error.into(),
        })?;
        let damage = Arc::new(Damage::of(file));
        let access_key_id = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let engine = server::Engine {
            database: database.clone(),
            damage: damage.clone(),
        };
        let serving = server::serve(listener, engine, access_key_id.clone());
        let server = tokio::spawn(serving);
        let endpoint_url = format!("http://{address}");
        let dynamodb = Self {
            client: aws::local_dynamodb(&endpoint_url, &access_key_id),
            config,
            endpoint_url,
            access_key_id,
            database,
            damage,
            server,
        };
        let created = create_tables(&dynamodb.client, &dynamodb.config).await;
        created.map_err(|source| EmbeddedError::Tables {
            database: name.into_owned(),
            source,
        })?;
        Ok(dynamodb)
    }

    /// Stops the server and waits until it accepts no more connections.
    pub async fn stop(mut self) {
        self.server.abort();
        drop((&mut self.server).await); // an error: the server was aborted
    }

    /// The access key id that requests must carry.
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// The environment variables with which another program of this user can use it.
    pub fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("AWS_ENDPOINT_URL_DYNAMODB", self.endpoint_url.clone()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", self.access_key_id.clone()),
            // Signatures are not checked: the access key id is the secret.
            ("AWS_SECRET_ACCESS_KEY", "local".to_owned()),
        ]
    }

    /// The database itself, for operations that clients do not have.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The damage that the database is known to have.
    pub fn damage(&self) -> &Arc<Damage> {
        &self.damage
    }

    /// The task store.
    pub fn tasks(&self) -> DynamoDbTaskStore {
        DynamoDbTaskStore::new(self.client.clone(), &self.config)
    }

    /// Imports the heads of many tasks at once, without requests: for measurements on a large table. The tasks have
    /// no history, and no project counts them.
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

    /// All stores. Without a checkpoints table in `config`, the checkpoint store fails.
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

/// Converts an attribute from the client's type to the database's. Heads have numbers and strings only.
fn imported((name, value): (String, AttributeValue)) -> (String, dynoxide::AttributeValue) {
    let value = match value {
        AttributeValue::N(number) => dynoxide::AttributeValue::N(number),
        AttributeValue::S(text) => dynoxide::AttributeValue::S(text),
        other => unreachable!("a head has an attribute {other:?}"),
    };
    (name, value)
}

/// The stores of one database.
#[derive(Clone)]
pub struct Stores {
    /// Tasks.
    pub tasks: Arc<dyn TaskStore>,
    /// Projects. Writes of `tasks` update their metrics.
    pub projects: Arc<dyn ProjectStore>,
    /// Checkpoints.
    pub checkpoints: Arc<dyn CheckpointStore>,
}
