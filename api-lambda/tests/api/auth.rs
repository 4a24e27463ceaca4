//! Authentication.

mod gateway;
mod keys;
mod properties;
mod rejected_tokens;
mod scopes;
mod secrets;
mod signer;
mod write_only;

use std::collections::HashMap;

use api_lambda::Auth;
use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Value, json};
use shared::config::Settings;
use shared::model::Timestamp;

use crate::auth::signer::Signer;
use crate::harness::{ApiResponse, Harness, task};

const ISSUER: &str = "https://issuer.example.com/";
const AUDIENCE: &str = "progress";
/// The setting for scopes as Cognito writes them, with `miyabi` as the identifier of the resource
/// server.
const SCOPE_PREFIX: (&str, &str) = ("AUTH_SCOPE_PREFIX", "miyabi/");
/// The challenge for a request without a token.
const CHALLENGE: &str = r#"Bearer realm="miyabi-progress""#;

fn auth(settings: &[(&str, &str)]) -> Auth {
    let settings: HashMap<_, _> = settings.iter().copied().collect();
    let lookup = |name: &str| settings.get(name).map(|value| (*value).to_owned());
    Auth::from_settings(&Settings::new(&lookup)).unwrap()
}

/// An API with these settings for authentication. It has the task `a`.
async fn harness(settings: &[(&str, &str)]) -> Harness {
    let harness = Harness::guarded(auth(settings));
    harness.save(&task("a", 1)).await;
    harness
}

/// An API that accepts tokens that `signer` has signed, with the right issuer and audience.
async fn harness_for(signer: &Signer) -> Harness {
    let (name, value) = signer.setting();
    let issuer = ("AUTH_ISSUER", ISSUER);
    harness(&[(name, &value), issuer, ("AUTH_AUDIENCE", AUDIENCE)]).await
}

/// Seconds since 1970, `offset` from now.
fn seconds(offset: i64) -> i64 {
    Timestamp::now().as_millis() / 1000 + offset
}

/// `value` with these changes. `null` removes a member.
fn with(mut value: Value, changes: Value) -> Value {
    let members = value.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        members.insert(name.clone(), value.clone());
    }
    members.retain(|_, value| !value.is_null());
    value
}

/// Valid claims with these changes.
fn claims(changes: Value) -> Value {
    let valid = json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "tester", "iat": seconds(0), "exp": seconds(300),
        "scope": "progress:read progress:write",
    });
    with(valid, changes)
}

/// The claims of an access token of Cognito, for an app client that may have `scope`.
fn cognito_claims(scope: &str) -> Value {
    json!({
        "sub": AUDIENCE, "client_id": AUDIENCE, "token_use": "access", "scope": scope, "version": 2,
        "iss": ISSUER, "auth_time": seconds(0), "iat": seconds(0), "exp": seconds(300), "jti": "5c1b",
    })
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// Sends a request with these `Authorization` headers.
async fn send(
    harness: &Harness,
    method: Method,
    path: &str,
    authorization: &[&str],
) -> ApiResponse {
    let mut request = Request::builder().method(method).uri(path);
    for value in authorization {
        request = request.header("authorization", *value);
    }
    harness.send(request.body(Body::empty()).unwrap()).await
}

async fn get(harness: &Harness, authorization: &[&str]) -> ApiResponse {
    send(harness, Method::GET, "/api/tasks/a", authorization).await
}

/// Checks that a request with this token succeeds.
async fn assert_accepted(harness: &Harness, token: &str) {
    let response = get(harness, &[&bearer(token)]).await;
    assert_eq!(response.status, 200, "{response:?}");
    assert_eq!(response.json()["task_id"], "a");
}

/// Checks that a request with this token is refused, and that the response has the reason.
async fn assert_refused(harness: &Harness, token: &str, reason: &str) {
    let response = get(harness, &[&bearer(token)]).await;
    assert_eq!(response.status, 401, "{reason}: {response:?}");
    assert_eq!(response.problem(), "unauthenticated");
    assert_eq!(response.json()["detail"], reason);
    let challenge = format!(r#"{CHALLENGE}, error="invalid_token", error_description="{reason}""#);
    assert_eq!(response.header("www-authenticate"), challenge);
    let body = String::from_utf8(response.body).unwrap();
    for part in token.split('.').filter(|part| part.len() > 8) {
        assert!(!body.contains(part), "{body}");
    }
}
