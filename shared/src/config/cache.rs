//! The settings of the cache.

use super::{ConfigError, Secret, Settings, read_text};

/// The cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheConfig {
    /// `REDIS_ENDPOINT`: `host`, `host:port`, or a `redis://` or `rediss://` URL; of a cluster, one or more of
    /// these, with commas between. It is not printed, as a URL may have a password.
    pub endpoint: Secret,
    /// `REDIS_USERNAME`: the user of Redis' access control lists that the password is of, Redis' `default`
    /// where it is not set.
    pub username: Option<String>,
    /// `REDIS_AUTH_TOKEN`: the password, where the endpoint wants one.
    pub auth_token: Option<Secret>,
    /// `REDIS_TLS` (`true` or `false`, default `false`): TLS for an endpoint that is not a URL.
    pub tls: bool,
    /// `REDIS_CA_CERT`, as PEM (or the path of a file of it, which is read then): the certificates of those who
    /// may have signed the endpoint's. The public authorities where it is not set.
    pub ca_cert: Option<String>,
    /// `REDIS_CLUSTER` (`true` or `false`, default `false`): the endpoint is a node of a cluster, or stands for
    /// all of them, and the others are asked for there.
    pub cluster: bool,
}

impl CacheConfig {
    /// The cache at an endpoint that asks for nothing.
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

    /// Reads the settings of the cache; `None` without `REDIS_ENDPOINT`: there is no cache.
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

/// PEM that a setting has as text, or as the path of a file. What is in it is looked at by who uses it.
fn pem(value: String) -> Result<String, ConfigError> {
    if value.trim_start().starts_with("-----BEGIN") {
        // Files of variables have one line for each, and then `\n` is two characters.
        return Ok(value.replace("\\n", "\n"));
    }
    read_text(&value).map_err(|_| ConfigError::Invalid {
        name: "REDIS_CA_CERT",
        expected: "certificates in PEM, or the path of a file of them that can be read",
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
    fn a_setting_that_makes_no_sense_is_named_and_not_shown() {
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
