//! How a connection to Redis is made.

use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisResult, TlsCertificates,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

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
/// A setting that makes no sense.
pub(super) fn client(config: &CacheConfig) -> Result<Client, ConfigError> {
    let info = connection_info(config)?;
    match certificates(config, &info)? {
        Some(certificates) => {
            Client::build_with_tls(info, certificates).map_err(|_| BAD_CERTIFICATES)
        }
        None => Client::open(info).map_err(|_| BAD_ENDPOINT),
    }
}

const BAD_ENDPOINT: ConfigError = ConfigError::Invalid {
    name: "REDIS_ENDPOINT",
    expected: "a host, host:port, or a redis:// or rediss:// URL",
};
const BAD_CERTIFICATES: ConfigError = ConfigError::Invalid {
    name: "REDIS_CA_CERT",
    expected: "PEM with one certificate or more",
};

/// Where Redis is, and who asks.
fn connection_info(config: &CacheConfig) -> Result<ConnectionInfo, ConfigError> {
    let endpoint = config.endpoint.expose();
    let url = if endpoint.contains("://") {
        endpoint.to_owned()
    } else {
        let scheme = if config.tls { "rediss" } else { "redis" };
        format!("{scheme}://{endpoint}")
    };
    let mut info = url.into_connection_info().map_err(|_| BAD_ENDPOINT)?;
    // What `#insecure` at the end of a URL asks for, this program does for nobody.
    if matches!(info.addr(), ConnectionAddr::TcpTls { insecure: true, .. }) {
        return Err(BAD_ENDPOINT);
    }
    let mut settings = info.redis_settings().clone();
    if let Some(username) = &config.username {
        settings = settings.set_username(username);
    }
    if let Some(token) = &config.auth_token {
        settings = settings.set_password(token.expose());
    }
    if settings.username().is_some() && settings.password().is_none() {
        // Redis would be asked for nothing, and answer as its default user may.
        return Err(ConfigError::Missing {
            name: "REDIS_AUTH_TOKEN",
        });
    }
    info = info.set_redis_settings(settings);
    Ok(info)
}

/// Whose signature the certificate of an endpoint with TLS must have, if not that of a public authority.
///
/// Those are compiled in: from the system's files the crate would read them at every connection, also where they
/// are not used, which takes ten times as long as all else that a connection needs.
fn certificates(
    config: &CacheConfig,
    info: &ConnectionInfo,
) -> Result<Option<TlsCertificates>, ConfigError> {
    if matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
        // rustls panics at the first connection unless it has exactly one provider, or is told which.
        // That another part of the process has told it already is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
    } else if config.ca_cert.is_some() {
        return Err(ConfigError::Invalid {
            name: "REDIS_CA_CERT",
            expected: "left out, or REDIS_ENDPOINT with TLS: a rediss:// URL, or REDIS_TLS=true",
        });
    }
    let Some(pem) = &config.ca_cert else {
        return Ok(None);
    };
    if CertificateDer::pem_slice_iter(pem.as_bytes())
        .next()
        .is_none()
    {
        return Err(BAD_CERTIFICATES);
    }
    Ok(Some(TlsCertificates {
        client_tls: None,
        root_cert: Some(pem.clone().into_bytes()),
    }))
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
    use super::*;
    use crate::config::Secret;

    fn config(endpoint: &str) -> CacheConfig {
        CacheConfig {
            auth_token: Some(Secret::from("hunter2".to_owned())),
            ..CacheConfig::at(endpoint)
        }
    }

    fn check(endpoint: &str, tls: bool, expect: Option<&str>) {
        let config = CacheConfig {
            tls,
            ..config(endpoint)
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
        check("rediss://cache#insecure", false, None);
        check("cache#insecure", true, None);
        check("http://cache", false, None);
        check("cache:port", false, None);
        check("", false, None);
    }

    #[test]
    fn settings_come_before_what_a_url_says() {
        let who = |config: &CacheConfig| {
            let info = client(config).unwrap().get_connection_info().clone();
            let settings = info.redis_settings();
            let texts = [settings.username(), settings.password()];
            texts.map(|text| text.map(str::to_owned))
        };
        let some = |text: &str| Some(text.to_owned());
        let in_url = CacheConfig::at("redis://ann:hunter1@cache");
        assert_eq!(who(&in_url), [some("ann"), some("hunter1")]);
        let mut both = config("redis://ann:hunter1@cache");
        both.username = some("bob");
        assert_eq!(who(&both), [some("bob"), some("hunter2")]);
        assert_eq!(who(&config("cache")), [None, some("hunter2")]);
    }

    #[test]
    fn a_user_without_a_password_is_refused() {
        for endpoint in ["cache", "redis://ann@cache"] {
            let mut nobody = CacheConfig::at(endpoint);
            nobody.username = (endpoint == "cache").then(|| "ann".to_owned());
            let refused = client(&nobody).unwrap_err().to_string();
            assert_eq!(refused, "REDIS_AUTH_TOKEN is not set");
        }
    }

    #[test]
    fn certificates_that_can_not_be_used_are_named() {
        let empty = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n";
        let noise = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let cut = "-----BEGIN CERTIFICATE-----\nAAAA\n";
        let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        for pem in ["", "hunter2", empty, noise, cut, key] {
            let config = CacheConfig {
                ca_cert: Some(pem.to_owned()),
                ..config("rediss://cache")
            };
            let refused = client(&config).unwrap_err();
            assert_eq!(refused, BAD_CERTIFICATES, "{pem}");
        }
    }

    #[test]
    fn certificates_without_tls_are_refused() {
        let config = CacheConfig {
            ca_cert: Some("-----BEGIN CERTIFICATE-----".to_owned()),
            ..config("redis://cache")
        };
        let refused = client(&config).unwrap_err().to_string();
        assert!(
            refused.starts_with("REDIS_CA_CERT must be left out"),
            "{refused}"
        );
    }
}
