//! The embedded DynamoDB of `serve` and `services`.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use shared::config::StoreConfig;
use shared::error::error_chain;
use shared::store::dynamodb::DynamoDbTaskStore;
use tokio::net::TcpListener;
use tracing::warn;

use crate::data_directory::DataDirectory;
use crate::embedded_dynamodb::EmbeddedDynamoDb;
use crate::failure::Failure;

/// The name of the table with the checkpoints of log groups.
pub(crate) const CHECKPOINTS_TABLE: &str = "miyabi-checkpoints";

/// How often expired items are removed.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// Starts DynamoDB on `port` of the loopback address. Its data is in `data`, or in memory without one.
pub(crate) async fn start(
    port: u16,
    data: Option<&DataDirectory>,
) -> Result<EmbeddedDynamoDb, Failure> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let refused = |source| Failure::listen("DynamoDB", address, "--dynamodb-port", source);
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let config = StoreConfig {
        tasks_table: "miyabi-task-runs".to_owned(),
        projects_table: "miyabi-projects".to_owned(),
        checkpoints_table: Some(CHECKPOINTS_TABLE.to_owned()),
        index_shards: 1, // shards spread load, and there is none here
    };
    let file = data.map(DataDirectory::database);
    let dynamodb = EmbeddedDynamoDb::serve(listener, file.as_deref(), config).await?;
    tokio::spawn(remove_expired(dynamodb.tasks()));
    if file.is_some() {
        let damage = dynamodb.damage().clone();
        // A large database takes some seconds. Nobody waits for that, not even at the end of the program.
        std::thread::spawn(move || damage.check());
    }
    Ok(dynamodb)
}

/// Removes expired items again and again, as DynamoDB on AWS does. Never returns.
async fn remove_expired(tasks: DynamoDbTaskStore) {
    let mut interval = tokio::time::interval(EXPIRY_INTERVAL);
    loop {
        interval.tick().await;
        if let Err(error) = tasks.remove_expired().await {
            let error = error_chain(&error);
            warn!(
                error,
                "can't remove expired tasks: they will be removed later"
            );
        }
    }
}
