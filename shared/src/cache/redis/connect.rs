//! Connections to one Redis or to a cluster.

use std::time::Duration;

use redis::aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::{Client, Cmd, Pipeline, RedisFuture, RedisResult, Value};

use super::cluster;
use super::endpoint::{
    BAD_CERTIFICATES, BAD_ENDPOINT, CONNECT_TIMEOUT, certificates, connection_info,
};
use crate::config::{CacheConfig, ConfigError};

/// The longest pause before the second attempt to connect.
const RECONNECT_PAUSE: Duration = Duration::from_millis(5);

/// Opens connections to the endpoint in the settings.
pub(super) enum Connector {
    /// One Redis.
    Single(Box<Client>),
    /// A cluster.
    Cluster(Box<ClusterClient>),
}

impl Connector {
    /// Creates a connector. Nothing is connected yet.
    ///
    /// # Errors
    ///
    /// An invalid setting.
    pub(super) fn new(config: &CacheConfig) -> Result<Self, ConfigError> {
        Ok(if config.cluster {
            Self::Cluster(Box::new(cluster::client(config)?))
        } else {
            Self::Single(Box::new(client(config)?))
        })
    }

    /// Opens a connection in the background, and again whenever it is lost.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    pub(super) fn connect(&self) -> RedisResult<Connection> {
        Ok(match self {
            Self::Single(client) => Connection::Single(connection(client)?),
            Self::Cluster(client) => Connection::Cluster(cluster::connection(client)),
        })
    }
}

/// A connection, to one Redis or to a cluster. Clones share it.
#[derive(Clone)]
pub(super) enum Connection {
    Single(ConnectionManager),
    Cluster(ClusterConnection),
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Single(connection) => connection.req_packed_command(command),
            Self::Cluster(connection) => connection.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Single(connection) => connection.req_packed_commands(commands, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(commands, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Single(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}

/// Makes a client of the single Redis that `config` names.
fn client(config: &CacheConfig) -> Result<Client, ConfigError> {
    let info = connection_info(config, config.endpoint.expose())?;
    match certificates(config, &info)? {
        Some(certificates) => {
            Client::build_with_tls(info, certificates).map_err(|_| BAD_CERTIFICATES)
        }
        None => Client::open(info).map_err(|_| BAD_ENDPOINT),
    }
}

fn connection(client: &Client) -> RedisResult<ConnectionManager> {
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        // Calls have their own budget. A second timer would cost two more system calls for each.
        .set_response_timeout(None)
        .set_number_of_retries(1)
        .set_min_delay(RECONNECT_PAUSE)
        .set_max_delay(RECONNECT_PAUSE);
    let connection = ConnectionManager::new_lazy_with_config(client.clone(), config)?;
    let mut first = connection.clone();
    // Without this command the connection would be made only while a call waits for it, and calls
    // do not wait long.
    tokio::spawn(async move { drop(first.send_packed_command(&redis::cmd("PING")).await) });
    Ok(connection)
}
