//! `Idempotency-Key`: a request that was sent twice is answered as if it had been sent once.

use axum::extract::FromRequestParts;
use axum::http::HeaderName;
use axum::http::request::Parts;
use sha2::{Digest, Sha256};

use crate::problem::{ApiError, FieldError};

/// On an answer that was given before.
pub(crate) const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The longest key, in characters.
const MAX_KEY_CHARS: usize = 255;

/// The key of a request; `None` if it has none.
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
            detail: format!("must be 1 to {MAX_KEY_CHARS} printable characters of ASCII, once"),
        }]))
    }
}

impl IdempotencyKey {
    /// Under what the receipt of the request is kept: keys of different senders are different keys.
    pub(crate) fn receipt_key(&self, sender: &str) -> Option<String> {
        let key = self.0.as_ref()?;
        Some(digest(&[sender.as_bytes(), key.as_bytes()]))
    }
}

/// A digest of several texts, in hexadecimal.
pub(crate) fn digest(texts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        // With its length, so that no text can reach into the next.
        hash.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(text);
    }
    hash.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_apart_by_sender_and_no_text_reaches_into_the_next() {
        let key = |text: &str| IdempotencyKey(Some(text.to_owned()));
        let all = [
            key("b").receipt_key("a"),
            key("ab").receipt_key(""),
            key("").receipt_key("ab"),
            key("a").receipt_key("b"),
        ];
        for (index, one) in all.iter().enumerate() {
            let others = all.iter().filter(|other| *other == one);
            assert_eq!(others.count(), 1, "{index}");
        }
        assert_eq!(all[0].as_ref().map(String::len), Some(64));
        assert_eq!(IdempotencyKey(None).receipt_key("a"), None);
    }
}
