//! CORS: pages of other origins can use the API only if `CORS_ALLOWED_ORIGINS` lists them.

use std::time::Duration;

use axum::http::header::{
    AUTHORIZATION, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH, LOCATION, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use axum::http::{HeaderName, HeaderValue, Method};
use shared::config::{ConfigError, Settings};
use tower_http::cors::{AllowOrigin, CorsLayer};

const NAME: &str = "CORS_ALLOWED_ORIGINS";
/// How long a browser may cache the answer to a preflight request.
const MAX_AGE: Duration = Duration::from_secs(3600);

/// The allowed origins: `CORS_ALLOWED_ORIGINS` (default: none). Origins such as
/// `https://example.org`, separated by commas, or `*` for any origin.
#[derive(Debug, Clone, Default)]
pub struct Cors(Option<AllowOrigin>);

impl Cors {
    /// Reads the setting.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Invalid`] if an entry is not an origin.
    pub fn from_settings(settings: &Settings<'_>) -> Result<Self, ConfigError> {
        let Some(text) = settings.optional(NAME) else {
            return Ok(Self(None));
        };
        if text.trim() == "*" {
            return Ok(Self(Some(AllowOrigin::any())));
        }
        let origins: Option<Vec<_>> = text.split(',').map(|text| origin(text.trim())).collect();
        match origins {
            Some(origins) => Ok(Self(Some(AllowOrigin::list(origins)))),
            None => Err(ConfigError::Invalid {
                name: NAME,
                expected: "origins such as https://example.org, separated by commas, or *",
            }),
        }
    }

    /// The layer that answers preflight requests and adds the headers; `None` if no origin is
    /// allowed.
    pub(crate) fn layer(self) -> Option<CorsLayer> {
        let methods = [
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PATCH,
            Method::DELETE,
        ];
        let request_headers = [
            AUTHORIZATION,
            CONTENT_TYPE,
            IF_MATCH,
            IF_NONE_MATCH,
            HeaderName::from_static("idempotency-key"),
        ];
        let response_headers = [
            ETAG,
            LOCATION,
            RETRY_AFTER,
            WWW_AUTHENTICATE,
            HeaderName::from_static("x-request-id"),
            HeaderName::from_static("server-timing"),
            crate::idempotency::IDEMPOTENCY_REPLAYED,
        ];
        let layer = CorsLayer::new().allow_origin(self.0?);
        Some(
            layer
                .allow_methods(methods)
                .allow_headers(request_headers)
                .expose_headers(response_headers)
                .max_age(MAX_AGE),
        )
    }
}

/// Parses an origin as browsers send it: a scheme, a host and an optional port, without a path.
fn origin(text: &str) -> Option<HeaderValue> {
    let (scheme, host) = text.split_once("://")?;
    let is_plain = |text: &str, others: &str| {
        let allowed = |char: char| char.is_ascii_alphanumeric() || others.contains(char);
        !text.is_empty() && text.chars().all(allowed)
    };
    let is_origin = is_plain(scheme, "+-.") && is_plain(host, "-.:[]");
    is_origin.then(|| HeaderValue::try_from(text).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_checked() {
        let read = |value: &'static str| {
            Cors::from_settings(&Settings::new(&move |_| Some(value.to_owned())))
        };
        for good in [
            "",
            "*",
            "https://a.example",
            "http://localhost:3000, https://b",
        ] {
            assert!(read(good).is_ok(), "{good}");
        }
        for bad in [
            "a.example",
            "https://a/",
            "https://a,*",
            "https://",
            "https://a b",
            ",",
        ] {
            let error = read(bad).unwrap_err().to_string();
            assert!(error.starts_with(NAME), "{bad}: {error}");
        }
        assert!(Cors::default().layer().is_none());
    }
}
