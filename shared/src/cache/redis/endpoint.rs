//! The address of Redis, the credentials, and the trusted certificates.

use std::time::Duration;

use redis::io::tcp::TcpSettings;
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, TlsCertificates};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::config::{CacheConfig, ConfigError};

/// The most time for opening a connection. No call waits longer than its own budget for it.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_millis(250);

pub(super) const BAD_ENDPOINT: ConfigError = ConfigError::Invalid {
    name: "REDIS_ENDPOINT",
    expected: "a host, host:port, or a redis:// or rediss:// URL",
};
pub(super) const BAD_CERTIFICATES: ConfigError = ConfigError::Invalid {
    name: "REDIS_CA_CERT",
    expected: "PEM with one certificate or more",
};

/// The address of the Redis at `endpoint`, with the credentials.
pub(super) fn connection_info(
    config: &CacheConfig,
    endpoint: &str,
) -> Result<ConnectionInfo, ConfigError> {
    let url = if endpoint.contains("://") {
        endpoint.to_owned()
    } else {
        let scheme = if config.tls { "rediss" } else { "redis" };
        format!("{scheme}://{endpoint}")
    };
    let info = url.into_connection_info().map_err(|_| BAD_ENDPOINT)?;
    // `#insecure` at the end of a URL would turn certificate checks off. That is never allowed.
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
        // Without a password the client would not authenticate, and would run as Redis's default
        // user.
        return Err(ConfigError::Missing {
            name: "REDIS_AUTH_TOKEN",
        });
    }
    Ok(info
        .set_redis_settings(settings)
        .set_tcp_settings(tcp_settings()))
}

/// Turns Nagle's algorithm off, because a caller waits for every command.
pub(super) fn tcp_settings() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

/// The certificate authorities to trust for an endpoint with TLS; `None` for the public ones.
///
/// The public ones are compiled in. The crate would otherwise read the system's files at every
/// connection, even if they are not needed. That takes ten times as long as the rest of a
/// connection.
pub(super) fn certificates(
    config: &CacheConfig,
    info: &ConnectionInfo,
) -> Result<Option<TlsCertificates>, ConfigError> {
    if matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
        // rustls panics at the first connection if it has several providers and none is installed.
        // An error means that another part of the process has installed one, which is enough.
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

#[cfg(test)]
mod tests {
    use super::super::connect::Connector;
    use super::*;
    use crate::config::Secret;

    fn config(endpoint: &str) -> CacheConfig {
        CacheConfig {
            auth_token: Some(Secret::from("hunter2".to_owned())),
            ..CacheConfig::at(endpoint)
        }
    }

    /// The error of these settings. It must be the same for one Redis and for a cluster.
    fn refused(config: &CacheConfig) -> ConfigError {
        let one = Connector::new(config).map(drop).unwrap_err();
        let cluster = CacheConfig {
            cluster: true,
            ..config.clone()
        };
        assert_eq!(Connector::new(&cluster).map(drop).unwrap_err(), one);
        one
    }

    fn check(endpoint: &str, tls: bool, expect: Option<&str>) {
        let config = CacheConfig {
            tls,
            ..config(endpoint)
        };
        let info = connection_info(&config, endpoint);
        let address = info.ok().map(|info| match info.addr() {
            ConnectionAddr::Tcp(host, port) => format!("{host} {port}"),
            ConnectionAddr::TcpTls { host, port, .. } => format!("{host} {port} tls"),
            other => format!("{other:?}"),
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
    fn settings_override_the_url() {
        let who = |config: &CacheConfig| {
            let info = connection_info(config, config.endpoint.expose()).unwrap();
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
            let refused = refused(&nobody).to_string();
            assert_eq!(refused, "REDIS_AUTH_TOKEN is not set");
        }
    }

    #[test]
    fn an_unusable_certificate_setting_is_named() {
        let empty = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n";
        let noise = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let cut = "-----BEGIN CERTIFICATE-----\nAAAA\n";
        let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        for pem in ["", "hunter2", empty, noise, cut, key] {
            let config = CacheConfig {
                ca_cert: Some(pem.to_owned()),
                ..config("rediss://cache")
            };
            assert_eq!(refused(&config), BAD_CERTIFICATES, "{pem}");
        }
    }

    #[test]
    fn certificates_without_tls_are_refused() {
        let config = CacheConfig {
            ca_cert: Some("-----BEGIN CERTIFICATE-----".to_owned()),
            ..config("redis://cache")
        };
        let refused = refused(&config).to_string();
        assert!(
            refused.starts_with("REDIS_CA_CERT must be left out"),
            "{refused}"
        );
    }

    #[test]
    fn a_cluster_has_many_endpoints_and_one_redis_has_one() {
        let is_taken = |endpoint: &str, cluster: bool| {
            let config = CacheConfig {
                cluster,
                ..CacheConfig::at(endpoint)
            };
            Connector::new(&config).is_ok()
        };
        for endpoints in ["a:1,b:2", "a:1, redis://b", "rediss://a,rediss://b:2"] {
            assert!(is_taken(endpoints, true), "{endpoints}");
            assert!(!is_taken(endpoints, false), "{endpoints}");
        }
        assert!(is_taken("a", true));
        for endpoints in ["a,,b", "a,", ",", "a,http://b", "redis://a,rediss://b"] {
            assert!(!is_taken(endpoints, true), "{endpoints}");
        }
    }
}
