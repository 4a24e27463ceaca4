//! The settings of the cache.

use super::{ConfigError, Secret, Settings, read_text};

/// The cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheConfig {
    /// `REDIS_ENDPOINT`: `host`, `host:port`, or a `redis://` or `rediss://` URL. For a cluster,
    /// one or more of these, separated by commas. It is a secret, because a URL may include a
    /// password.
    pub endpoint: Secret,
    /// `REDIS_USERNAME`: the user in Redis's access control list. Redis uses `default` if it is not
    /// set.
    pub username: Option<String>,
    /// `REDIS_AUTH_TOKEN`: the password, if the endpoint requires one.
    pub auth_token: Option<Secret>,
    /// `REDIS_TLS` (`true` or `false`, default `false`): use TLS for an endpoint that is not a URL.
    pub tls: bool,
    /// `REDIS_CA_CERT`: the trusted certificate authorities, in PEM or as the path of a PEM file.
    /// The public authorities if it is not set.
    pub ca_cert: Option<String>,
    /// `REDIS_CLUSTER` (`true` or `false`, default `false`): the endpoint is a cluster, or some of
    /// its nodes. The client asks there for the other nodes.
    pub cluster: bool,
}

impl CacheConfig {
    /// Creates the configuration of an endpoint without a password or TLS.
    pub fn at(endpoint: impl Into<String>) -> Self {
        Self {
            endpoint: Secret::from(endpoint.into()),
            username: None,
            auth_token: None,
            tls: false,
            ca_cert: None,
            cluster: false,
        }
    }

    /// Reads the settings of the cache; `None` if `REDIS_ENDPOINT` is not set, so that there is no
    /// cache.
    pub fn from_settings(settings: &Settings<'_>) -> Result<Option<Self>, ConfigError> {
        let Some(endpoint) = settings.optional("REDIS_ENDPOINT") else {
            return Ok(None);
        };
        let ca_cert = settings.optional("REDIS_CA_CERT").map(pem);
        Ok(Some(Self {
            endpoint: Secret::from(endpoint),
            username: settings.optional("REDIS_USERNAME"),
            auth_token: settings.optional("REDIS_AUTH_TOKEN").map(Secret::from),
            tls: settings.flag("REDIS_TLS")?,
            ca_cert: ca_cert.transpose()?,
            cluster: settings.flag("REDIS_CLUSTER")?,
        }))
    }
}

/// Reads PEM from the text of a setting, or from the file that it names. The client checks the
/// contents.
fn pem(value: String) -> Result<String, ConfigError> {
    if value.trim_start().starts_with("-----BEGIN") {
        // In an env file a variable has one line, so `\n` is two characters there.
        return Ok(value.replace("\\n", "\n"));
    }
    read_text(&value).map_err(|_| ConfigError::Invalid {
        name: "REDIS_CA_CERT",
        expected: "certificates in PEM, or the path of a readable file of them",
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn read(settings: &[(&str, &str)]) -> Result<Option<CacheConfig>, ConfigError> {
        let settings: HashMap<_, _> = settings.iter().copied().collect();
        let lookup = |name: &str| settings.get(name).map(|value| (*value).to_owned());
        CacheConfig::from_settings(&Settings::new(&lookup))
    }

    #[test]
    fn without_an_endpoint_there_is_no_cache() {
        let without = [("REDIS_TLS", "true"), ("REDIS_AUTH_TOKEN", "hunter2")];
        assert_eq!(read(&without), Ok(None));
        let expected = CacheConfig::at("cache");
        assert_eq!(read(&[("REDIS_ENDPOINT", "cache")]), Ok(Some(expected)));
    }

    #[test]
    fn certificates_are_text_or_the_path_of_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "in a file").unwrap();
        let path = file.path().to_str().unwrap();
        for (value, expected) in [
            ("-----BEGIN X-----\\nYQ==", "-----BEGIN X-----\nYQ=="),
            ("-----BEGIN X-----\nYQ==", "-----BEGIN X-----\nYQ=="),
            (path, "in a file"),
        ] {
            let config = read(&[("REDIS_ENDPOINT", "cache"), ("REDIS_CA_CERT", value)]);
            let ca_cert = config.unwrap().unwrap().ca_cert;
            assert_eq!(ca_cert.as_deref(), Some(expected));
        }
    }

    #[test]
    fn an_invalid_setting_is_named_without_its_value() {
        for (name, value) in [
            ("REDIS_TLS", "perhaps"),
            ("REDIS_CLUSTER", "perhaps"),
            ("REDIS_CA_CERT", "/no/such/file"),
            ("REDIS_CA_CERT", "/"),
            ("REDIS_CA_CERT", "hunter2"),
        ] {
            let refused = read(&[("REDIS_ENDPOINT", "cache"), (name, value)]);
            let refused = refused.unwrap_err().to_string();
            assert!(refused.starts_with(&format!("{name} must be")), "{refused}");
            assert!(value == "/" || !refused.contains(value), "{refused}");
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        let config = read(&[
            ("REDIS_ENDPOINT", "redis://:hunter1@cache"),
            ("REDIS_AUTH_TOKEN", "hunter2"),
        ]);
        assert!(!format!("{config:?}").contains("hunter"));
    }
}
