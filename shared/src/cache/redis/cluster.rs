//! Redis as a cluster: several nodes, each with a part of the keys.
//!
//! The nodes are asked which of them has what, at the start and whenever one of them says that it has it no more
//! or is lost. Calls that meet that are sent again, as far as the budget of the cache goes.

use std::time::Duration;

use redis::cluster::{ClusterClient, ClusterConfig};
use redis::cluster_async::ClusterConnection;

use super::endpoint::{
    BAD_CERTIFICATES, BAD_ENDPOINT, CONNECT_TIMEOUT, certificates, connection_info, tcp_settings,
};
use crate::config::{CacheConfig, ConfigError};

/// How often a call is sent again: after a freeze each node's connection may be lost, and each is found out by
/// itself.
const RETRIES: u32 = 8;
/// How long an answer is waited for, at most, also where the client asks for itself. Calls give up before.
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(250);
/// The longest pause between two attempts, in milliseconds.
const MAX_RETRY_PAUSE_MS: u64 = 10;

/// A client of the cluster whose nodes, some or all, `config` names with commas between. Nothing is connected.
///
/// # Errors
///
/// A setting that makes no sense.
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

/// A connection that is made now, behind, and made again whenever it is lost.
pub(super) fn connection(client: &ClusterClient) -> ClusterConnection {
    let config = ClusterConfig::new()
        .set_connection_timeout(CONNECT_TIMEOUT)
        .set_response_timeout(RESPONSE_TIMEOUT);
    client.get_pending_async_connection_with_config(config)
}
