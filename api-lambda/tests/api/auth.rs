//! Who may come in.

mod gateway;
mod keys;
mod properties;
mod refusals;
mod scopes;
mod secrets;
mod signer;

use std::collections::HashMap;

use api_lambda::Auth;
use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Value, json};
use shared::config::Settings;
use shared::model::Timestamp;

use crate::auth::signer::Signer;
use crate::world::{Answer, World, task};

const ISSUER: &str = "https://issuer.example.com/";
const AUDIENCE: &str = "progress";
/// What a stranger is told.
const CHALLENGE: &str = r#"Bearer realm="miyabi-progress""#;

fn auth(settings: &[(&str, &str)]) -> Auth {
    let settings: HashMap<_, _> = settings.iter().copied().collect();
    let lookup = |name: &str| settings.get(name).map(|value| (*value).to_owned());
    Auth::from_settings(&Settings::new(&lookup)).unwrap()
}

/// An API with the task `a`, for those whom these settings let in.
async fn world(settings: &[(&str, &str)]) -> World {
    let world = World::guarded(auth(settings));
    world.save(&task("a", 1)).await;
    world
}

/// An API for those who have a token that `signer` has signed, from and for the right one.
async fn world_of(signer: &Signer) -> World {
    let (name, value) = signer.setting();
    let issuer = ("AUTH_ISSUER", ISSUER);
    world(&[(name, &value), issuer, ("AUTH_AUDIENCE", AUDIENCE)]).await
}

/// Seconds since 1970, `offset` from now.
fn seconds(offset: i64) -> i64 {
    Timestamp::now().as_millis() / 1000 + offset
}

/// `value`, but for these members; `null` takes one away.
fn with(mut value: Value, changes: Value) -> Value {
    let members = value.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        members.insert(name.clone(), value.clone());
    }
    members.retain(|_, value| !value.is_null());
    value
}

/// Good claims, but for these.
fn claims(changes: Value) -> Value {
    let good = json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "tester", "iat": seconds(0), "exp": seconds(300),
        "scope": "progress:read progress:write",
    });
    with(good, changes)
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// The answer to a request with these `Authorization` headers.
async fn ask(world: &World, method: Method, path: &str, authorization: &[&str]) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for value in authorization {
        request = request.header("authorization", *value);
    }
    world.send(request.body(Body::empty()).unwrap()).await
}

async fn get(world: &World, authorization: &[&str]) -> Answer {
    ask(world, Method::GET, "/api/tasks/a", authorization).await
}

/// Checks that who shows this token is let in.
async fn is_let_in(world: &World, token: &str) {
    let answer = get(world, &[&bearer(token)]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["task_id"], "a");
}

/// Checks that who shows this token is refused, and told why.
async fn is_refused(world: &World, token: &str, reason: &str) {
    let answer = get(world, &[&bearer(token)]).await;
    assert_eq!(answer.status, 401, "{reason}: {answer:?}");
    assert_eq!(answer.problem(), "unauthenticated");
    assert_eq!(answer.json()["detail"], reason);
    let challenge = format!(r#"{CHALLENGE}, error="invalid_token", error_description="{reason}""#);
    assert_eq!(answer.header("www-authenticate"), challenge);
    let body = String::from_utf8(answer.body).unwrap();
    for part in token.split('.').filter(|part| part.len() > 8) {
        assert!(!body.contains(part), "{body}");
    }
}
