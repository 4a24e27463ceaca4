//! A Redis cluster: several nodes, each with some of the keys.
//!
//! The client asks the nodes which of them has which keys, at the start and whenever a key has
//! moved or a node is lost. It repeats the calls that met such a change, within the cache's budget.

use std::time::Duration;

use redis::cluster::{ClusterClient, ClusterConfig};
use redis::cluster_async::ClusterConnection;

use super::endpoint::{
    BAD_CERTIFICATES, BAD_ENDPOINT, CONNECT_TIMEOUT, certificates, connection_info, tcp_settings,
};
use crate::config::{CacheConfig, ConfigError};

/// The most repetitions of a call. After a freeze every node's connection may be lost, and the
/// client finds out about each of them separately.
const RETRIES: u32 = 8;
/// The most time for a response, also to the client's own requests. Calls give up earlier.
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(250);
/// The longest pause between two attempts, in milliseconds.
const MAX_RETRY_PAUSE_MS: u64 = 10;

/// Makes a client of the cluster. `config` names some or all of its nodes, separated by commas.
/// Nothing is connected yet.
///
/// # Errors
///
/// An invalid setting.
pub(super) fn client(config: &CacheConfig) -> Result<ClusterClient, ConfigError> {
    let endpoints = config.endpoint.expose().split(',');
    let nodes: Result<Vec<_>, _> = endpoints
        .map(|endpoint| connection_info(config, endpoint.trim()))
        .collect();
    let nodes = nodes?;
    let first = nodes.first().ok_or(BAD_ENDPOINT)?;
    let certificates = certificates(config, first)?;
    let mut builder = ClusterClient::builder(nodes)
        .retries(RETRIES)
        .retry_wait_formula(1, 2)
        .min_retry_wait(1)
        .max_retry_wait(MAX_RETRY_PAUSE_MS)
        .tcp_settings(tcp_settings())
        .connection_timeout(CONNECT_TIMEOUT)
        .response_timeout(RESPONSE_TIMEOUT);
    let refusal = if certificates.is_some() {
        BAD_CERTIFICATES
    } else {
        BAD_ENDPOINT
    };
    if let Some(certificates) = certificates {
        builder = builder.certs(certificates);
    }
    builder.build().map_err(|_| refusal)
}

/// Opens a connection in the background, and again whenever it is lost.
pub(super) fn connection(client: &ClusterClient) -> ClusterConnection {
    let config = ClusterConfig::new()
        .set_connection_timeout(CONNECT_TIMEOUT)
        .set_response_timeout(RESPONSE_TIMEOUT);
    client.get_pending_async_connection_with_config(config)
}
