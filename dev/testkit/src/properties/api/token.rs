//! Anything in place of a token.

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

use super::{Answer, runtime};
use api_lambda::{ApiState, Auth, Cors, router};

const SECRET: &str = "fuzzing alone uses this secret of 48 bytes and so";
const ISSUER: &str = "https://issuer";
const AUDIENCE: &str = "progress";
const PUBLIC_KEY: &str = include_str!("../../../../../api-lambda/test_data/keys/rsa-a.public.pem");

/// For those alone who have a token.
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

/// Checks that nobody comes in by `token` as the value of `Authorization`; nor by its lines as header and claims that
/// are signed with the right secret, unless they are what they must be. Returns the status of the answer to these.
///
/// # Panics
///
/// If one of that does not hold.
pub fn check(token: &[u8]) -> Option<u16> {
    runtime().block_on(async {
        for value in [token.to_vec(), [b"Bearer ", token].concat()] {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                let answer = ask(value).await;
                assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
            }
        }
        let line_end = token.iter().position(|byte| *byte == b'\n');
        let (header, claims) = token.split_at(line_end.unwrap_or(token.len()));
        let claims = claims.strip_prefix(b"\n").unwrap_or_default();
        let answer = ask(signed(header, claims)).await;
        match answer.status {
            StatusCode::UNAUTHORIZED => {}
            StatusCode::OK => assert!(may_read(header, claims), "{answer:?}"),
            StatusCode::FORBIDDEN => assert!(!has_scope(claims), "{answer:?}"),
            _ => panic!("{answer:?}"),
        }
        Some(answer.status.as_u16())
    })
}

async fn ask(authorization: HeaderValue) -> Answer {
    let mut request = Request::get("/api/tasks").body(Body::empty()).unwrap();
    request.headers_mut().insert(AUTHORIZATION, authorization);
    let answer = Answer::to(request, &ROUTER).await;
    answer.assert_sound();
    answer
}

fn signed(header: &[u8], claims: &[u8]) -> HeaderValue {
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let message = format!("{}.{}", encode(header), encode(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = hmac::sign(&key, message.as_bytes());
    let token = format!("Bearer {message}.{}", encode(signature.as_ref()));
    HeaderValue::from_str(&token).unwrap()
}

/// Whether these may come in, by rules that are written down here a second time.
fn may_read(header: &[u8], claims: &[u8]) -> bool {
    let json = |bytes| serde_json::from_slice::<Value>(bytes).unwrap_or_default();
    let (header, said) = (json(header), json(claims));
    let now = f64::from(u32::try_from(Timestamp::now().as_millis() / 1000).unwrap());
    let is_past = |claim: &str| said[claim].as_f64().is_none_or(|time| time <= now + 61.0);
    let is_ours = |value: &Value| value == AUDIENCE;
    let is_meant_for_us = match &said["aud"] {
        Value::Array(audiences) => audiences.iter().any(is_ours),
        Value::Null => is_ours(&said["client_id"]),
        audience => is_ours(audience),
    };
    header["alg"] == "HS256"
        && said["exp"].as_f64().is_some_and(|exp| exp > now - 61.0)
        && is_past("nbf")
        && is_past("iat")
        && said["iss"] == ISSUER
        && is_meant_for_us
        && has_scope(claims)
}

fn has_scope(claims: &[u8]) -> bool {
    let said: Value = serde_json::from_slice(claims).unwrap_or_default();
    let has = |value: &Value| {
        let text = value.as_str().unwrap_or_default();
        text.split(' ').any(|scope| scope == "progress:read")
    };
    [&said["scope"], &said["scp"]]
        .into_iter()
        .any(|scopes| match scopes {
            Value::Array(scopes) => scopes.iter().any(has),
            scopes => has(scopes),
        })
}
