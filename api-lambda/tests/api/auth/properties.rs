//! Any bytes instead of a valid token are refused, and never cause a 5xx.

use axum::body::Body;
use axum::http::{HeaderValue, Request};
use proptest::prelude::*;
use serde_json::json;
use tokio::runtime::{Builder, Runtime};

use crate::auth::signer::{RSA_PUBLIC, SECRET, Signer, encoded};
use crate::auth::{bearer, claims, get, harness};
use crate::harness::Harness;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

/// An API with keys of all types.
async fn harness_with_all_keys() -> Harness {
    let keys = json!({"keys": [Signer::new_ec().jwk(json!({"kid": "1"}))]}).to_string();
    harness(&[
        ("AUTH_HS256_SECRET", SECRET),
        ("AUTH_PUBLIC_KEY", RSA_PUBLIC),
        ("AUTH_JWKS", &keys),
        ("AUTH_GATEWAY_CLAIMS", "true"),
    ])
    .await
}

fn check_refused(value: HeaderValue) -> Result<(), TestCaseError> {
    runtime().block_on(async {
        let harness = harness_with_all_keys().await;
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = "/api/tasks".parse().unwrap();
        request.headers_mut().insert("authorization", value.clone());
        let response = harness.send(request).await;
        prop_assert_eq!(response.status.as_u16(), 401, "{:?}", value);
        prop_assert_eq!(response.problem(), "unauthenticated");
        let challenge = response.header("www-authenticate");
        prop_assert!(challenge.starts_with("Bearer realm="), "{}", challenge);
        Ok(())
    })
}

fn any_algorithm() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "HS256", "RS256", "ES256", "none", "HS512", "PS256", "EdDSA", "",
    ])
}

proptest! {
    #[test]
    fn any_header_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), is_bearer: bool) {
        let start = if is_bearer { b"Bearer ".as_slice() } else { b"" };
        if let Ok(value) = HeaderValue::from_bytes(&[start, &bytes].concat()) {
            check_refused(value)?;
        }
    }

    #[test]
    fn any_text_that_looks_like_a_token_is_refused(text in "[A-Za-z0-9_-]{0,90}(\\.[A-Za-z0-9_-]{0,90}){0,4}") {
        check_refused(bearer(&text).parse().unwrap())?;
    }

    #[test]
    fn any_json_that_nobody_signed_is_refused(
        algorithm in any_algorithm(),
        kid in proptest::option::of("[ -~]{0,9}"),
        member in "[a-z0-9#+]{1,6}",
        value in "(null|true|-?[0-9]{1,30}|\"[a-z]{0,9}\"|\\[\\]|\\{\\})",
        payload in prop_oneof![Just(claims(json!({})).to_string()), ".{0,60}"],
        signature in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let header = json!({"alg": algorithm, "kid": kid}).to_string();
        let header = header.replacen('{', &format!("{{\"{member}\":{value},"), 1);
        let parts = [encoded(header), encoded(payload), encoded(signature)];
        check_refused(bearer(&parts.join(".")).parse().unwrap())?;
    }
}

/// All bytes that a token can have, and some that it can't.
const BYTES: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ ,";

#[test]
fn a_token_with_any_byte_changed_is_refused() {
    runtime().block_on(async {
        for signer in Signer::all() {
            let (name, value) = signer.setting();
            let harness = harness(&[(name, &value)]).await;
            let token = signer.token(&claims(json!({})));
            assert_eq!(get(&harness, &[&bearer(&token)]).await.status, 200);
            for index in 0..token.len() {
                let before = token.as_bytes()[index];
                // The last byte of a part has unused bits, so all values are tried there.
                let parts_end = token.as_bytes().get(index + 1);
                let is_last = parts_end.is_none_or(|byte| *byte == b'.');
                let step = if is_last { 1 } else { 17 };
                let others = BYTES.iter().skip(index % step).step_by(step);
                for byte in others.filter(|byte| **byte != before) {
                    let mut changed = token.clone().into_bytes();
                    changed[index] = *byte;
                    let changed = String::from_utf8(changed).unwrap();
                    let response = get(&harness, &[&bearer(&changed)]).await;
                    assert_eq!(response.status, 401, "{index} {changed}");
                }
                let mut shorter = token.clone();
                shorter.remove(index);
                let response = get(&harness, &[&bearer(&shorter)]).await;
                assert_eq!(response.status, 401, "{index} {shorter}");
            }
        }
    });
}
