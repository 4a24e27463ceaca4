//! Public keys in a JWKS document (RFC 7517), the format in which issuers publish them.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse,
};
use serde::Deserialize;
use serde_json::Value;
use tracing::warn;

use crate::auth::keys::{Key, KeyError};

/// Why a document has no usable key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum JwksError {
    #[error("the text is not a JWKS document, which is JSON with a list of keys")]
    Malformed,
    #[error(
        "the document has no usable key: RSA of at least 2048 bits, or EC on P-256, for signatures"
    )]
    Empty,
}

/// Why a key of a document is not used. Issuers publish keys for several purposes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Unusable {
    #[error("the key does not conform to RFC 7517")]
    Malformed,
    #[error("the key is private; only the issuer must have it")]
    Private,
    #[error("the key is not for checking signatures")]
    Use,
    #[error("the algorithm of the key is neither RS256 nor ES256")]
    Algorithm,
    #[error("the key is neither RSA nor EC on P-256")]
    Type,
    #[error(transparent)]
    Key(#[from] KeyError),
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

/// Parses the usable keys in `text`. Logs a warning for each key that is not usable.
pub(super) fn parse(text: &str) -> Result<Vec<Key>, JwksError> {
    let document: Document = serde_json::from_str(text).map_err(|_| JwksError::Malformed)?;
    let mut keys = Vec::new();
    for (index, value) in document.keys.into_iter().enumerate() {
        let kid = value.get("kid").and_then(Value::as_str).map(str::to_owned);
        match key(value) {
            Ok(key) => keys.push(key.named(kid)),
            Err(reason) => warn!(index, kid, %reason, "a key of AUTH_JWKS is not used"),
        }
    }
    if keys.is_empty() {
        return Err(JwksError::Empty);
    }
    Ok(keys)
}

fn key(value: Value) -> Result<Key, Unusable> {
    if value.get("d").is_some() {
        return Err(Unusable::Private);
    }
    let jwk: Jwk = serde_json::from_value(value).map_err(|_| Unusable::Malformed)?;
    if !is_for_signatures(&jwk) {
        return Err(Unusable::Use);
    }
    let decoded = |text: &str| {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text);
        bytes.map_err(|_| Unusable::Malformed)
    };
    let (key, algorithm) = match &jwk.algorithm {
        AlgorithmParameters::RSA(parameters) => {
            let key = Key::rsa(&decoded(&parameters.n)?, &decoded(&parameters.e)?)?;
            (key, KeyAlgorithm::RS256)
        }
        AlgorithmParameters::EllipticCurve(parameters)
            if parameters.curve == EllipticCurve::P256 =>
        {
            let (x, y) = (decoded(&parameters.x)?, decoded(&parameters.y)?);
            let key = Key::ec(&[&[4], x.as_slice(), y.as_slice()].concat())?;
            (key, KeyAlgorithm::ES256)
        }
        _ => return Err(Unusable::Type),
    };
    let named = jwk.common.key_algorithm;
    if named.is_some_and(|named| named != algorithm) {
        return Err(Unusable::Algorithm);
    }
    Ok(key)
}

fn is_for_signatures(jwk: &Jwk) -> bool {
    let common = &jwk.common;
    let key_use = common.public_key_use.as_ref();
    let operations = common.key_operations.as_ref();
    key_use.is_none_or(|key_use| *key_use == PublicKeyUse::Signature)
        && operations.is_none_or(|operations| operations.contains(&KeyOperations::Verify))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::auth::keys::KeyRing;

    fn rsa() -> Value {
        let modulus = BASE64_URL_SAFE_NO_PAD.encode([0xff; 256]);
        json!({"kty": "RSA", "n": modulus, "e": "AQAB"})
    }

    fn ec() -> Value {
        json!({
            "kty": "EC", "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        })
    }

    /// `key` with these changes.
    fn with(mut key: Value, changes: Value) -> Value {
        let members = key.as_object_mut().unwrap();
        for (name, value) in changes.as_object().unwrap() {
            members.insert(name.clone(), value.clone());
        }
        key
    }

    #[test]
    fn keys_for_signatures_are_used() {
        let keys = json!({"other": 1, "keys": [
            with(rsa(), json!({"kid": "1", "use": "sig", "alg": "RS256", "x5c": ["AAAA"]})),
            with(ec(), json!({"kid": "2", "key_ops": ["verify"], "alg": "ES256"})),
            rsa(),
        ]});
        let keys = parse(&keys.to_string()).unwrap();
        let labels = KeyRing::new(keys).labels();
        assert_eq!(labels, ["RS256 1", "ES256 2", "RS256"]);
    }

    #[test]
    fn other_keys_are_ignored() {
        let short = BASE64_URL_SAFE_NO_PAD.encode([0xff; 255]);
        let unusable = [
            with(rsa(), json!({"use": "enc"})),
            with(rsa(), json!({"key_ops": ["encrypt"]})),
            with(rsa(), json!({"alg": "RSA-OAEP-256"})),
            with(rsa(), json!({"alg": "PS256"})),
            with(rsa(), json!({"alg": "ES256"})),
            with(rsa(), json!({"alg": "HS256"})),
            with(rsa(), json!({"alg": "none"})),
            with(rsa(), json!({"n": short})),
            with(rsa(), json!({"n": "not base64!"})),
            with(rsa(), json!({"n": 1})),
            with(rsa(), json!({"d": "AQAB"})),
            with(rsa(), json!({"kid": 1})),
            with(ec(), json!({"crv": "P-384"})),
            with(ec(), json!({"crv": "secp256k1"})),
            with(ec(), json!({"x": "AAAA"})),
            with(
                ec(),
                json!({"y": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"}),
            ),
            json!({"kty": "oct", "k": "AAAA"}),
            json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}),
            json!({"kty": "unheard-of"}),
            json!({}),
            json!(null),
            json!("text"),
        ];
        for key in &unusable {
            let alone = parse(&json!({"keys": [key]}).to_string());
            assert_eq!(alone.err(), Some(JwksError::Empty), "{key}");
            let beside = parse(&json!({"keys": [key, ec()]}).to_string());
            assert_eq!(beside.map(|keys| keys.len()).ok(), Some(1), "{key}");
        }
    }

    #[test]
    fn other_documents_are_refused() {
        for text in ["", "{", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":null}"#] {
            assert_eq!(parse(text).err(), Some(JwksError::Malformed), "{text}");
        }
    }
}
