//! How a connection to Redis is made.

use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, IntoConnectionInfo, RedisResult};

use crate::config::{CacheConfig, ConfigError};

/// How long a connection may take to be made. No call waits for it longer than its own budget.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(250);
/// How long an answer is waited for, at most. Calls give up before.
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(250);
/// The pause before a connection that failed is tried the second time, at most.
const RECONNECT_PAUSE: Duration = Duration::from_millis(5);

/// A client of the endpoint that `config` names. Nothing is connected.
///
/// # Errors
///
/// [`ConfigError::Invalid`] if `REDIS_ENDPOINT` is no host and no URL of Redis.
pub(super) fn client(config: &CacheConfig) -> Result<Client, ConfigError> {
    // rustls panics at the first connection unless it has exactly one provider, or is told which.
    // That another part of the process has told it already is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    let url = if config.endpoint.contains("://") {
        config.endpoint.clone()
    } else {
        let scheme = if config.tls { "rediss" } else { "redis" };
        format!("{scheme}://{}", config.endpoint)
    };
    let invalid = |_| ConfigError::Invalid {
        name: "REDIS_ENDPOINT",
        expected: "a host, host:port, or a redis:// or rediss:// URL",
    };
    let mut info = url.into_connection_info().map_err(invalid)?;
    if let Some(token) = &config.auth_token {
        let settings = info.redis_settings().clone();
        info = info.set_redis_settings(settings.set_password(token.expose()));
    }
    Client::open(info).map_err(invalid)
}

/// A connection that is made now, behind, and made again whenever it is lost.
pub(super) fn connection(client: &Client) -> RedisResult<ConnectionManager> {
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(RESPONSE_TIMEOUT))
        .set_number_of_retries(1)
        .set_min_delay(RECONNECT_PAUSE)
        .set_max_delay(RECONNECT_PAUSE);
    let connection = ConnectionManager::new_lazy_with_config(client.clone(), config)?;
    let mut first = connection.clone();
    // A connection that only calls wait for would rest whenever none does, and they don't wait long.
    tokio::spawn(async move { drop(first.send_packed_command(&redis::cmd("PING")).await) });
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use redis::ConnectionAddr;

    use super::*;
    use crate::config::Secret;

    fn check(endpoint: &str, tls: bool, expect: Option<&str>) {
        let config = CacheConfig {
            endpoint: endpoint.to_owned(),
            auth_token: Some(Secret::from("hunter2".to_owned())),
            tls,
        };
        let address = client(&config).ok().map(|client| {
            let info = client.get_connection_info();
            assert_eq!(info.redis_settings().password(), Some("hunter2"));
            match info.addr() {
                ConnectionAddr::Tcp(host, port) => format!("{host} {port}"),
                ConnectionAddr::TcpTls { host, port, .. } => format!("{host} {port} tls"),
                other => format!("{other:?}"),
            }
        });
        assert_eq!(address.as_deref(), expect, "{endpoint}");
    }

    #[test]
    fn an_endpoint_is_a_host_or_a_url() {
        check("cache", false, Some("cache 6379"));
        check("cache:7000", true, Some("cache 7000 tls"));
        check("127.0.0.1:1", false, Some("127.0.0.1 1"));
        check("[::1]:6380", false, Some("::1 6380"));
        check("redis://cache:1/0", true, Some("cache 1"));
        check("rediss://cache", false, Some("cache 6379 tls"));
        check("http://cache", false, None);
        check("cache:port", false, None);
        check("", false, None);
    }
}
