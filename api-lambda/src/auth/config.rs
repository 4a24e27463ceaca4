//! The settings of who may come in.

use std::io;

use shared::config::{self, ConfigError, Secret, Settings};
use shared::error::Source;

use crate::auth::claims::ClaimRules;
use crate::auth::jwks;
use crate::auth::keys::{Key, KeyRing, MAX_KEYS};
use crate::auth::pem;

const HS256_SECRET: &str = "AUTH_HS256_SECRET";
const PUBLIC_KEY: &str = "AUTH_PUBLIC_KEY";
const JWKS: &str = "AUTH_JWKS";

/// RFC 7518, section 3.2: a secret has at least as many bits as the hash.
const MIN_SECRET_BYTES: usize = 32;

/// A setting of who may come in that can't be used. No value is shown: it may be a secret, or a secret that was
/// put in the wrong place.
#[derive(Debug, thiserror::Error)]
pub enum AuthConfigError {
    /// A setting that makes no sense.
    #[error(transparent)]
    Setting(#[from] ConfigError),
    /// Tokens are to be checked, and there is nothing to check them with.
    #[error(
        "AUTH_MODE is jwt, as it is where it is not set, and there is no key to check tokens with: set \
         AUTH_HS256_SECRET, AUTH_PUBLIC_KEY or AUTH_JWKS; or AUTH_GATEWAY_CLAIMS=true behind API Gateway's \
         own JWT authorizer; or AUTH_MODE=none to let everyone in"
    )]
    NoKey,
    /// More keys than are tried.
    #[error("there are {0} keys to check tokens with: {MAX_KEYS} at most")]
    TooManyKeys(usize),
    /// A key that can't be read.
    #[error("{name} can't be used")]
    Key {
        /// The variable.
        name: &'static str,
        /// What is wrong.
        #[source]
        source: Source,
    },
}

/// How tokens are checked.
#[derive(Debug)]
pub(super) struct AuthConfig {
    /// `AUTH_HS256_SECRET` (at least 32 bytes), `AUTH_PUBLIC_KEY` (PEM, or the path of a file of it) and `AUTH_JWKS`
    /// (JSON, or the path of a file of it): all that are set.
    pub(super) keys: KeyRing,
    /// `AUTH_ISSUER`, `AUTH_AUDIENCE` (a list with commas), `AUTH_LEEWAY_SECONDS` (0 to 600, default 60).
    pub(super) rules: ClaimRules,
    /// `AUTH_GATEWAY_CLAIMS` (`true` or `false`, default `false`).
    pub(super) gateway_claims: bool,
}

impl AuthConfig {
    /// Reads the settings; `None` if `AUTH_MODE` (`jwt` or `none`, default `jwt`) is `none`.
    pub(super) fn from_settings(settings: &Settings<'_>) -> Result<Option<Self>, AuthConfigError> {
        match settings.optional("AUTH_MODE").as_deref() {
            None | Some("jwt") => {}
            Some("none") => return Ok(None),
            Some(_) => return Err(invalid("AUTH_MODE", "jwt or none").into()),
        }
        let gateway_claims = settings.flag("AUTH_GATEWAY_CLAIMS")?;
        let audiences = settings.optional("AUTH_AUDIENCE").unwrap_or_default();
        let audiences = audiences.split(',').map(str::trim);
        let audiences = audiences.filter(|audience| !audience.is_empty());
        let leeway_seconds = settings.number(
            "AUTH_LEEWAY_SECONDS",
            60,
            (0, 600),
            "a number of seconds from 0 to 600",
        )?;
        let rules = ClaimRules {
            issuer: settings.optional("AUTH_ISSUER"),
            audiences: audiences.map(str::to_owned).collect(),
            leeway_seconds,
        };
        let keys = keys(settings)?;
        if keys.is_empty() && !gateway_claims {
            return Err(AuthConfigError::NoKey);
        }
        if keys.len() > MAX_KEYS {
            return Err(AuthConfigError::TooManyKeys(keys.len()));
        }
        Ok(Some(Self {
            keys: KeyRing::new(keys),
            rules,
            gateway_claims,
        }))
    }
}

fn invalid(name: &'static str, expected: &'static str) -> ConfigError {
    ConfigError::Invalid { name, expected }
}

/// The keys of all sources that are set.
fn keys(settings: &Settings<'_>) -> Result<Vec<Key>, AuthConfigError> {
    let mut keys = Vec::new();
    if let Some(secret) = settings.optional(HS256_SECRET).map(Secret::from) {
        if secret.expose().len() < MIN_SECRET_BYTES {
            return Err(invalid(HS256_SECRET, "at least 32 bytes long").into());
        }
        keys.push(Key::secret(secret.expose().as_bytes()));
    }
    if let Some(value) = settings.optional(PUBLIC_KEY) {
        let text = if value.trim_start().starts_with("-----BEGIN") {
            // Files of variables have one line for each, and then `\n` is two characters.
            value.replace("\\n", "\n")
        } else {
            read(PUBLIC_KEY, &value)?
        };
        let parsed = pem::parse(&text).map_err(|error| unusable(PUBLIC_KEY, error))?;
        keys.extend(parsed);
    }
    if let Some(value) = settings.optional(JWKS) {
        let text = if value.trim_start().starts_with('{') {
            value
        } else {
            read(JWKS, &value)?
        };
        let parsed = jwks::parse(&text).map_err(|error| unusable(JWKS, error))?;
        keys.extend(parsed);
    }
    Ok(keys)
}

fn unusable(name: &'static str, source: impl Into<Source>) -> AuthConfigError {
    let source = source.into();
    AuthConfigError::Key { name, source }
}

/// The text of a file that a setting names.
fn read(name: &'static str, path: &str) -> Result<String, AuthConfigError> {
    config::read_text(path).map_err(|source| unusable(name, FileError { source }))
}

/// A value that is neither the keys themselves nor the path of a file of them.
#[derive(Debug, thiserror::Error)]
#[error("it is neither a key as text nor the path of a file that can be read")]
struct FileError {
    source: io::Error,
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use shared::error::error_chain;

    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    const PEM: &str = include_str!("../../test_data/keys/rsa-a.public.pem");
    const PEM_FILE: &str = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/test_data/keys/ec-p256.public.pem"
    );
    const PRIVATE: &str = include_str!("../../test_data/keys/rsa-a.private.pem");

    fn read(settings: &[(&str, &str)]) -> Result<Option<AuthConfig>, AuthConfigError> {
        let settings: HashMap<_, _> = settings.iter().copied().collect();
        let lookup = |name: &str| settings.get(name).map(|value| (*value).to_owned());
        AuthConfig::from_settings(&Settings::new(&lookup))
    }

    fn taken(settings: &[(&str, &str)]) -> AuthConfig {
        read(settings).unwrap().unwrap()
    }

    fn refused(settings: &[(&str, &str)]) -> String {
        error_chain(&read(settings).unwrap_err())
    }

    #[test]
    fn tokens_are_asked_for_unless_it_is_said_that_they_are_not() {
        assert!(read(&[("AUTH_MODE", "none")]).unwrap().is_none());
        for mode in ["", "jwt"] {
            let refused = refused(&[("AUTH_MODE", mode)]);
            for name in [
                "AUTH_HS256_SECRET",
                "AUTH_PUBLIC_KEY",
                "AUTH_JWKS",
                "AUTH_MODE=none",
            ] {
                assert!(refused.contains(name), "{refused}");
            }
        }
        for mode in ["None", "off", "jwt,none"] {
            let refused = refused(&[("AUTH_MODE", mode), (HS256_SECRET, SECRET)]);
            assert_eq!(refused, "AUTH_MODE must be jwt or none");
        }
    }

    #[test]
    fn keys_come_from_all_that_is_set() {
        let jwks = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"new",
            "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;
        let two = format!("{PEM}{PEM}");
        let one_line = PEM.replace('\n', "\\n");
        for (settings, expected) in [
            (&[(HS256_SECRET, SECRET)][..], &["HS256"][..]),
            (&[(PUBLIC_KEY, PEM)], &["RS256"]),
            (&[(PUBLIC_KEY, &one_line)], &["RS256"]),
            (&[(PUBLIC_KEY, &two)], &["RS256", "RS256"]),
            (&[(PUBLIC_KEY, PEM_FILE)], &["ES256"]),
            (&[(JWKS, jwks)], &["ES256 new"]),
            (
                &[(JWKS, jwks), (PUBLIC_KEY, PEM), (HS256_SECRET, SECRET)],
                &["HS256", "RS256", "ES256 new"],
            ),
        ] {
            assert_eq!(taken(settings).keys.labels(), expected);
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), jwks).unwrap();
        let path = file.path().to_str().unwrap();
        assert_eq!(taken(&[(JWKS, path)]).keys.labels(), ["ES256 new"]);
    }

    #[test]
    fn behind_a_gateway_no_key_is_needed() {
        let config = taken(&[("AUTH_GATEWAY_CLAIMS", "true")]);
        assert!(config.gateway_claims && config.keys.is_empty());
        assert!(!taken(&[(HS256_SECRET, SECRET)]).gateway_claims);
        let refused = refused(&[("AUTH_GATEWAY_CLAIMS", "yes"), (HS256_SECRET, SECRET)]);
        assert_eq!(refused, "AUTH_GATEWAY_CLAIMS must be true or false");
    }

    #[test]
    fn rules_have_defaults() {
        let rules = taken(&[(HS256_SECRET, SECRET)]).rules;
        let none = ClaimRules {
            issuer: None,
            audiences: Vec::new(),
            leeway_seconds: 60,
        };
        assert_eq!(rules, none);
        let rules = taken(&[
            (HS256_SECRET, SECRET),
            ("AUTH_ISSUER", "https://issuer"),
            ("AUTH_AUDIENCE", "one, two,"),
            ("AUTH_LEEWAY_SECONDS", "0"),
        ]);
        let audiences = vec!["one".to_owned(), "two".to_owned()];
        let issuer = Some("https://issuer".to_owned());
        let expected = ClaimRules {
            issuer,
            audiences,
            leeway_seconds: 0,
        };
        assert_eq!(rules.rules, expected);
    }

    #[test]
    fn what_can_not_be_used_is_named_and_not_shown() {
        let too_many = PEM.repeat(MAX_KEYS + 1);
        let short = SECRET.trim_start_matches('0');
        let huge = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(huge.path(), vec![b' '; 300_000]).unwrap();
        let huge = huge.path().to_str().unwrap();
        for (name, value, reason) in [
            (HS256_SECRET, short, "at least 32 bytes"),
            (
                PUBLIC_KEY,
                SECRET,
                "neither a key as text nor the path of a file",
            ),
            (
                PUBLIC_KEY,
                "/",
                "neither a key as text nor the path of a file",
            ),
            (PUBLIC_KEY, huge, "larger than 256 KiB"),
            (PUBLIC_KEY, PRIVATE, "has a private key"),
            (PUBLIC_KEY, "-----BEGIN PUBLIC KEY-----", "not PEM"),
            (JWKS, SECRET, "neither a key as text nor the path of a file"),
            (JWKS, "{", "not a JWKS document"),
            (JWKS, r#"{"keys":[]}"#, "no key that can be used"),
            ("AUTH_LEEWAY_SECONDS", "-1", "from 0 to 600"),
            ("AUTH_LEEWAY_SECONDS", "601", "from 0 to 600"),
        ] {
            let refused = refused(&[(name, value)]);
            assert!(
                refused.starts_with(name) && refused.contains(reason),
                "{refused}"
            );
            assert!(
                value == "/" || value == "{" || value == "-1" || !refused.contains(value),
                "{refused}"
            );
        }
        assert_eq!(
            refused(&[(PUBLIC_KEY, &too_many)]),
            "there are 17 keys to check tokens with: 16 at most"
        );
    }
}
