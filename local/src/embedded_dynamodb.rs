//! DynamoDB inside this process, spoken to over loopback, so that the real client is used.

use std::fs::{self, File, TryLockError};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use dynoxide::Database;
use shared::aws;
use shared::config::StoreConfig;
use shared::store::tables::create_tables;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::failure::Failure;

/// A directory to keep data in, which no other process uses meanwhile.
#[derive(Debug)]
pub(crate) struct DataDirectory {
    path: PathBuf,
    _lock: File,
}

impl DataDirectory {
    /// Makes `path`, if need be, and takes it.
    pub(crate) fn take(path: &Path) -> Result<Self, Failure> {
        let taken = fs::create_dir_all(path).and_then(|()| {
            let lock = File::create(path.join("lock"))?;
            match lock.try_lock() {
                Ok(()) => Ok(lock),
                Err(TryLockError::WouldBlock) => {
                    Err(io::Error::other("another process uses it: end it first"))
                }
                Err(TryLockError::Error(error)) => Err(error),
            }
        });
        let lock = taken.map_err(|error| Failure::Data {
            directory: path.to_owned(),
            source: error.into(),
        })?;
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// Where it is kept when lines were first seen.
    pub(crate) fn journals(&self) -> PathBuf {
        self.path.join("first-seen")
    }

    fn database(&self) -> PathBuf {
        self.path.join("dynamodb.sqlite")
    }
}

/// DynamoDB inside this process, with the three tables; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct EmbeddedDynamoDb {
    /// Its client.
    pub(crate) client: aws_sdk_dynamodb::Client,
    /// Its tables.
    pub(crate) config: StoreConfig,
    /// Its URL.
    pub(crate) endpoint_url: String,
    server: JoinHandle<()>,
}

/// The name of the table that keeps how far log groups were read.
pub(crate) const CHECKPOINTS_TABLE: &str = "miyabi-checkpoints";

impl EmbeddedDynamoDb {
    /// Starts it on `port` of the loopback address, on what `data` holds or else in memory.
    pub(crate) async fn start(port: u16, data: Option<&DataDirectory>) -> Result<Self, Failure> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let refused = |source| Failure::listen("DynamoDB", address, "--dynamodb-port", source);
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let database = match data {
            Some(data) => Database::new(&data.database().to_string_lossy()),
            None => Database::memory(),
        };
        let database = database.map_err(|error| Failure::DynamoDb(error.into()))?;
        let server = tokio::spawn(dynoxide::server::serve_on(listener, database));
        let endpoint_url = format!("http://{address}");
        let dynamodb = Self {
            client: aws::local_dynamodb(&endpoint_url),
            config: StoreConfig {
                tasks_table: "miyabi-tasks".to_owned(),
                projects_table: "miyabi-projects".to_owned(),
                checkpoints_table: Some(CHECKPOINTS_TABLE.to_owned()),
                index_shards: 1, // nothing is gained by spreading here
            },
            endpoint_url,
            server,
        };
        let made = create_tables(&dynamodb.client, &dynamodb.config).await;
        made.map_err(Failure::Tables)?;
        Ok(dynamodb)
    }
}

impl Drop for EmbeddedDynamoDb {
    fn drop(&mut self) {
        self.server.abort();
    }
}
