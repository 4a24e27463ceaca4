//! The directory that keeps data across runs, and the embedded DynamoDB on it.

use std::fs::{self, File, TryLockError};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use shared::config::StoreConfig;
use tokio::net::TcpListener;

use crate::embedded_dynamodb::EmbeddedDynamoDb;
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

/// The name of the table that keeps how far log groups were read.
pub(crate) const CHECKPOINTS_TABLE: &str = "miyabi-checkpoints";

/// Starts DynamoDB on `port` of the loopback address, on what `data` holds or else in memory.
pub(crate) async fn start_dynamodb(
    port: u16,
    data: Option<&DataDirectory>,
) -> Result<EmbeddedDynamoDb, Failure> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let refused = |source| Failure::listen("DynamoDB", address, "--dynamodb-port", source);
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let config = StoreConfig {
        tasks_table: "miyabi-tasks".to_owned(),
        projects_table: "miyabi-projects".to_owned(),
        checkpoints_table: Some(CHECKPOINTS_TABLE.to_owned()),
        index_shards: 1, // nothing is gained by spreading here
    };
    let file = data.map(DataDirectory::database);
    Ok(EmbeddedDynamoDb::serve(listener, file.as_deref(), config).await?)
}
