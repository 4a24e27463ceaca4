//! The settings for authentication.

use std::io;

use shared::config::{self, ConfigError, Secret, Settings};
use shared::error::Source;

use crate::auth::claims::ClaimRules;
use crate::auth::jwks;
use crate::auth::keys::{Key, KeyRing, MAX_KEYS};
use crate::auth::pem;
use crate::auth::scope_prefix::ScopePrefix;

const HS256_SECRET: &str = "AUTH_HS256_SECRET";
const PUBLIC_KEY: &str = "AUTH_PUBLIC_KEY";
const JWKS: &str = "AUTH_JWKS";
const SCOPE_PREFIX: &str = "AUTH_SCOPE_PREFIX";

/// RFC 7518, section 3.2: a secret has at least as many bits as the hash.
const MIN_SECRET_BYTES: usize = 32;

/// An invalid setting for authentication. The message does not contain the value, which can be a
/// secret in the wrong variable.
#[derive(Debug, thiserror::Error)]
pub enum AuthConfigError {
    /// A setting with an invalid value.
    #[error(transparent)]
    Setting(#[from] ConfigError),
    /// No key to check tokens with.
    #[error(
        "AUTH_MODE=jwt (the default) needs a key: set AUTH_HS256_SECRET, AUTH_PUBLIC_KEY or AUTH_JWKS; \
         or set AUTH_GATEWAY_CLAIMS=true behind a JWT authorizer of API Gateway; \
         or set AUTH_MODE=none to let everyone read and change everything"
    )]
    NoKey,
    /// More keys than allowed.
    #[error("{0} keys are configured; the limit is {MAX_KEYS}")]
    TooManyKeys(usize),
    /// A key that can't be read.
    #[error("{name} is not a usable key")]
    Key {
        /// The variable.
        name: &'static str,
        /// The cause.
        #[source]
        source: Source,
    },
}

/// The settings for authentication.
#[derive(Debug)]
pub(super) struct AuthConfig {
    /// The keys of all variables that are set: `AUTH_HS256_SECRET` (at least 32 bytes),
    /// `AUTH_PUBLIC_KEY` (PEM or the path of a PEM file) and `AUTH_JWKS` (JSON or the path of a
    /// JSON file).
    pub(super) keys: KeyRing,
    /// `AUTH_ISSUER`, `AUTH_AUDIENCE` (separated by commas), `AUTH_LEEWAY_SECONDS` (0 to 600,
    /// default 60).
    pub(super) rules: ClaimRules,
    /// `AUTH_SCOPE_PREFIX` (default: none).
    pub(super) scope_prefix: ScopePrefix,
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
        let audience_list = settings.optional("AUTH_AUDIENCE").unwrap_or_default();
        let audiences = audience_list
            .split(',')
            .map(str::trim)
            .filter(|audience| !audience.is_empty());
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
        let prefix = settings.optional(SCOPE_PREFIX).unwrap_or_default();
        let scope_prefix = ScopePrefix::new(prefix).ok_or_else(|| {
            invalid(
                SCOPE_PREFIX,
                "printable ASCII without spaces, commas, brackets, quotes and backslashes",
            )
        })?;
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
            scope_prefix,
            gateway_claims,
        }))
    }
}

fn invalid(name: &'static str, expected: &'static str) -> ConfigError {
    ConfigError::Invalid { name, expected }
}

/// The keys of all variables that are set.
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
            // An .env file has one line for each variable, with line breaks written as `\n`.
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

/// Reads the file that a setting names.
fn read(name: &'static str, path: &str) -> Result<String, AuthConfigError> {
    config::read_text(path).map_err(|source| unusable(name, FileError { source }))
}

/// The value is neither a key nor the path of a readable file.
#[derive(Debug, thiserror::Error)]
#[error("the value is neither a key nor the path of a readable file")]
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

    fn accepted(settings: &[(&str, &str)]) -> AuthConfig {
        read(settings).unwrap().unwrap()
    }

    fn refused(settings: &[(&str, &str)]) -> String {
        error_chain(&read(settings).unwrap_err())
    }

    #[test]
    fn tokens_are_required_by_default() {
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
    fn keys_of_all_variables_are_used() {
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
            assert_eq!(accepted(settings).keys.labels(), expected);
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), jwks).unwrap();
        let path = file.path().to_str().unwrap();
        assert_eq!(accepted(&[(JWKS, path)]).keys.labels(), ["ES256 new"]);
    }

    #[test]
    fn gateway_claims_need_no_key() {
        let config = accepted(&[("AUTH_GATEWAY_CLAIMS", "true")]);
        assert!(config.gateway_claims && config.keys.is_empty());
        assert!(!accepted(&[(HS256_SECRET, SECRET)]).gateway_claims);
        let refused = refused(&[("AUTH_GATEWAY_CLAIMS", "yes"), (HS256_SECRET, SECRET)]);
        assert_eq!(refused, "AUTH_GATEWAY_CLAIMS must be true or false");
    }

    #[test]
    fn rules_have_defaults() {
        let rules = accepted(&[(HS256_SECRET, SECRET)]).rules;
        let none = ClaimRules {
            issuer: None,
            audiences: Vec::new(),
            leeway_seconds: 60,
        };
        assert_eq!(rules, none);
        let rules = accepted(&[
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
    fn an_error_names_the_setting_and_hides_its_value() {
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
                "neither a key nor the path of a readable file",
            ),
            (
                PUBLIC_KEY,
                "/",
                "neither a key nor the path of a readable file",
            ),
            (PUBLIC_KEY, huge, "larger than 256 KiB"),
            (PUBLIC_KEY, PRIVATE, "has a private key"),
            (PUBLIC_KEY, "-----BEGIN PUBLIC KEY-----", "not valid PEM"),
            (
                JWKS,
                SECRET,
                "neither a key nor the path of a readable file",
            ),
            (JWKS, "{", "not a JWKS document"),
            (JWKS, r#"{"keys":[]}"#, "no usable key"),
            ("AUTH_LEEWAY_SECONDS", "-1", "from 0 to 600"),
            ("AUTH_LEEWAY_SECONDS", "601", "from 0 to 600"),
            (SCOPE_PREFIX, "miyabi other/", "without spaces"),
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
            "17 keys are configured; the limit is 16"
        );
    }
}
