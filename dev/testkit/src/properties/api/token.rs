//! Arbitrary bytes in place of a token.

use std::sync::Arc;
use std::sync::LazyLock;
use std::time::Duration;

use crate::store::memory::InMemoryStore;
use axum::Router;
use axum::body::Body;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderValue, Request, StatusCode};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::Value;
use shared::config::Settings;
use shared::model::Timestamp;

use super::response::{Response, runtime};
use api_lambda::{ApiState, Auth, Cors, router};

const SECRET: &str = "fuzzing alone uses this secret of 48 bytes and so";
const ISSUER: &str = "https://issuer";
const AUDIENCE: &str = "progress";
const PUBLIC_KEY: &str = include_str!("../../../../../api-lambda/test_data/keys/rsa-a.public.pem");

/// An API that requires a token.
static ROUTER: LazyLock<Router> = LazyLock::new(|| {
    let lookup = |name: &str| {
        let value = match name {
            "AUTH_HS256_SECRET" => SECRET,
            "AUTH_PUBLIC_KEY" => PUBLIC_KEY,
            "AUTH_ISSUER" => ISSUER,
            "AUTH_AUDIENCE" => AUDIENCE,
            _ => return None,
        };
        Some(value.to_owned())
    };
    let store = Arc::new(InMemoryStore::new());
    let state = ApiState::new(store.clone(), store, None, Duration::from_secs(900));
    let auth = Auth::from_settings(&Settings::new(&lookup)).unwrap();
    router(state, auth, Cors::default())
});

/// Checks that `token` as the value of `Authorization` is never accepted. Its two lines, signed as
/// header and claims with the right secret, are accepted only if they are valid. Returns the status
/// of that response.
///
/// # Panics
///
/// If a check fails.
pub fn check(token: &[u8]) -> Option<u16> {
    runtime().block_on(async {
        for value in [token.to_vec(), [b"Bearer ", token].concat()] {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                let response = get_tasks(value).await;
                assert_eq!(response.status, StatusCode::UNAUTHORIZED, "{response:?}");
            }
        }
        let line_end = token.iter().position(|byte| *byte == b'\n');
        let (header, claims) = token.split_at(line_end.unwrap_or(token.len()));
        let claims = claims.strip_prefix(b"\n").unwrap_or_default();
        let response = get_tasks(signed(header, claims)).await;
        match response.status {
            StatusCode::UNAUTHORIZED => {}
            StatusCode::OK => assert!(may_read(header, claims), "{response:?}"),
            StatusCode::FORBIDDEN => assert!(!has_scope(claims), "{response:?}"),
            _ => panic!("{response:?}"),
        }
        Some(response.status.as_u16())
    })
}

async fn get_tasks(authorization: HeaderValue) -> Response {
    let mut request = Request::get("/api/tasks").body(Body::empty()).unwrap();
    request.headers_mut().insert(AUTHORIZATION, authorization);
    let response = Response::to(request, &ROUTER).await;
    response.assert_sound();
    response
}

fn signed(header: &[u8], claims: &[u8]) -> HeaderValue {
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let message = format!("{}.{}", encode(header), encode(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = hmac::sign(&key, message.as_bytes());
    let token = format!("Bearer {message}.{}", encode(signature.as_ref()));
    HeaderValue::from_str(&token).unwrap()
}

/// Whether these are valid, by an independent implementation of the rules.
fn may_read(header: &[u8], claims: &[u8]) -> bool {
    let json = |bytes| serde_json::from_slice::<Value>(bytes).unwrap_or_default();
    let (header, claim_set) = (json(header), json(claims));
    let now = f64::from(u32::try_from(Timestamp::now().as_millis() / 1000).unwrap());
    let is_past = |claim: &str| {
        claim_set[claim]
            .as_f64()
            .is_none_or(|time| time <= now + 61.0)
    };
    let is_our_audience = |value: &Value| value == AUDIENCE;
    let is_meant_for_us = match &claim_set["aud"] {
        Value::Array(audiences) => audiences.iter().any(is_our_audience),
        Value::Null => is_our_audience(&claim_set["client_id"]),
        audience => is_our_audience(audience),
    };
    header["alg"] == "HS256"
        && claim_set["exp"]
            .as_f64()
            .is_some_and(|exp| exp > now - 61.0)
        && is_past("nbf")
        && is_past("iat")
        && claim_set["iss"] == ISSUER
        && is_meant_for_us
        && has_scope(claims)
}

fn has_scope(claims: &[u8]) -> bool {
    let claim_set: Value = serde_json::from_slice(claims).unwrap_or_default();
    let has = |value: &Value| {
        let text = value.as_str().unwrap_or_default();
        text.split(' ').any(|scope| scope == "progress:read")
    };
    [&claim_set["scope"], &claim_set["scp"]]
        .into_iter()
        .any(|scopes| match scopes {
            Value::Array(scopes) => scopes.iter().any(has),
            scopes => has(scopes),
        })
}
