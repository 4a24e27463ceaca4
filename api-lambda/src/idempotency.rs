//! `Idempotency-Key`: a repeated request gets the response of the first one.

use axum::extract::FromRequestParts;
use axum::http::HeaderName;
use axum::http::request::Parts;

use crate::digest::digest;
use crate::problem::{ApiError, FieldError};

/// The header that marks a repeated response.
pub(crate) const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The longest key, in characters.
const MAX_KEY_CHARS: usize = 255;

/// The key of a request; `None` without the header.
#[derive(Debug, Clone)]
pub(crate) struct IdempotencyKey(Option<String>);

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let mut values = parts.headers.get_all(IDEMPOTENCY_KEY).into_iter();
        let Some(value) = values.next() else {
            return Ok(Self(None));
        };
        let key = value.to_str().unwrap_or_default();
        let is_key = (1..=MAX_KEY_CHARS).contains(&key.len()) && values.next().is_none();
        if is_key {
            return Ok(Self(Some(key.to_owned())));
        }
        Err(ApiError::InvalidParameters(vec![FieldError {
            field: "Idempotency-Key".to_owned(),
            detail: format!(
                "must be 1 to {MAX_KEY_CHARS} printable ASCII characters, and occur only once"
            ),
        }]))
    }
}

impl IdempotencyKey {
    /// The key under which the store keeps the first response. Each caller has its own keys.
    pub(crate) fn record_key(&self, caller: &str) -> Option<String> {
        let key = self.0.as_ref()?;
        Some(digest(&[caller.as_bytes(), key.as_bytes()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_different_callers_differ() {
        let key = |text: &str| IdempotencyKey(Some(text.to_owned()));
        let all = [
            key("b").record_key("a"),
            key("ab").record_key(""),
            key("").record_key("ab"),
            key("a").record_key("b"),
        ];
        for (index, one) in all.iter().enumerate() {
            let others = all.iter().filter(|other| *other == one);
            assert_eq!(others.count(), 1, "{index}");
        }
        assert_eq!(all[0].as_ref().map(String::len), Some(64));
        assert_eq!(IdempotencyKey(None).record_key("a"), None);
    }
}
