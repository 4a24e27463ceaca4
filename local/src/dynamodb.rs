//! The embedded DynamoDB of `serve` and `services`.

use std::net::{Ipv4Addr, SocketAddr};

use shared::config::StoreConfig;
use tokio::net::TcpListener;

use crate::data_directory::DataDirectory;
use crate::embedded_dynamodb::EmbeddedDynamoDb;
use crate::failure::Failure;

/// The name of the table with the checkpoints of log groups.
pub(crate) const CHECKPOINTS_TABLE: &str = "miyabi-checkpoints";

/// Starts DynamoDB on `port` of the loopback address. Its data is in `data`, or in memory without one.
pub(crate) async fn start(
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
        index_shards: 1, // shards spread load, and there is none here
    };
    let file = data.map(DataDirectory::database);
    Ok(EmbeddedDynamoDb::serve(listener, file.as_deref(), config).await?)
}
