//! What each route asks for.

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Value, json};

use crate::auth::signer::Signer;
use crate::auth::{CHALLENGE, ask, bearer, claims, world_of};
use crate::world::{Answer, World};

/// What comes of a request without a token, with none of the scopes, with `progress:read`, and with
/// `progress:write`: whether it gets through.
async fn check(world: &World, signer: &Signer, method: &Method, path: &str, expected: [bool; 4]) {
    let scopes = [
        None,
        Some("openid"),
        Some("progress:read"),
        Some("progress:write"),
    ];
    for (scope, expected) in scopes.into_iter().zip(expected) {
        let token = scope.map(|scope| bearer(&signer.token(&claims(json!({"scope": scope})))));
        let token: Vec<_> = token.iter().map(String::as_str).collect();
        let answer = ask(world, method.clone(), path, &token).await;
        let status = answer.status.as_u16();
        if expected {
            assert!(
                ![401, 403].contains(&status),
                "{method} {path} {scope:?}: {answer:?}"
            );
            continue;
        }
        let refusal = if scope.is_none() { 401 } else { 403 };
        assert_eq!(status, refusal, "{method} {path} {scope:?}");
        if method != Method::HEAD {
            let problem = if scope.is_none() {
                "unauthenticated"
            } else {
                "insufficient-scope"
            };
            assert_eq!(answer.problem(), problem);
        }
    }
}

const OPEN: [bool; 4] = [true; 4];
const READ: [bool; 4] = [false, false, true, false];
const WRITE: [bool; 4] = [false, false, false, true];

#[tokio::test]
async fn every_route_asks_for_its_scope() {
    let [signer, ..] = Signer::all();
    let world = world_of(&signer).await;
    let paths = [
        "/ready",
        "/api/tasks",
        "/api/tasks?limit=1",
        "/api/tasks/a",
        "/api/tasks/none",
        "/api/tasks/a/history",
        "/api/projects",
        "/api/projects/none",
        "/api/projects/none/tasks",
        // Where there is nothing, a stranger is not told so.
        "/api",
        "/api/",
        "/api/tasks/",
        "/api/nothing",
        "/nothing",
        "//api/tasks",
        "/health/../api/tasks",
        "/API/TASKS",
    ];
    for path in paths {
        for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
            check(&world, &signer, &method, path, READ).await;
        }
        for method in ["POST", "PUT", "PATCH", "DELETE", "TRACE", "PURGE"] {
            let method = method.parse().unwrap();
            check(&world, &signer, &method, path, WRITE).await;
        }
    }
}

#[tokio::test]
async fn what_is_open_needs_no_token() {
    let [signer, ..] = Signer::all();
    let world = world_of(&signer).await;
    for path in [
        "/health",
        "/",
        "/openapi.json",
        "/docs",
        "/docs/x",
        "/assets/page.js",
    ] {
        for method in [Method::GET, Method::HEAD] {
            check(&world, &signer, &method, path, OPEN).await;
        }
        check(&world, &signer, &Method::POST, path, WRITE).await;
    }
    let health = ask(&world, Method::GET, "/health", &["Bearer rubbish"]).await;
    assert_eq!(health.json(), json!({"status": "healthy"}));
}

#[tokio::test]
async fn a_preflight_needs_no_token() {
    let [signer, ..] = Signer::all();
    let world = world_of(&signer).await;
    let request = Request::options("/api/tasks")
        .header("origin", "https://example.com")
        .header("access-control-request-method", "POST");
    let answer = world.send(request.body(Body::empty()).unwrap()).await;
    assert!(![401, 403].contains(&answer.status.as_u16()), "{answer:?}");
}

async fn post(world: &World, token: &str, body: Value) -> Answer {
    let request = Request::post("/api/tasks")
        .header("content-type", "application/json")
        .header("authorization", bearer(token));
    world
        .send(request.body(Body::from(body.to_string())).unwrap())
        .await
}

#[tokio::test]
async fn who_may_not_write_changes_nothing() {
    let [signer, ..] = Signer::all();
    let world = world_of(&signer).await;
    let body = json!({"task_id": "b", "task_name": "B", "task_type": "build"});
    let reader = signer.token(&claims(json!({"scope": "progress:read"})));
    let answer = post(&world, &reader, body.clone()).await;
    assert_eq!(answer.status, 403);
    assert_eq!(answer.problem(), "insufficient-scope");
    let detail = "the token must have the scope progress:write";
    assert_eq!(answer.json()["detail"], detail);
    let challenge = format!(
        r#"{CHALLENGE}, error="insufficient_scope", error_description="{detail}", scope="progress:write""#
    );
    assert_eq!(answer.header("www-authenticate"), challenge);
    // Not even what is wrong with the body is said.
    assert_eq!(post(&world, &reader, json!([])).await.status, 403);
    assert_eq!(world.stored().await.len(), 1);

    let writer = signer.token(&claims(json!({"scope": "progress:write"})));
    assert_eq!(post(&world, &writer, body).await.status, 201);
    assert_eq!(world.stored().await.len(), 2);
}

#[tokio::test]
async fn scopes_may_be_in_either_claim() {
    let [signer, ..] = Signer::all();
    let world = world_of(&signer).await;
    for scopes in [
        json!({"scope": null, "scp": ["progress:read"]}),
        json!({"scope": null, "scp": "openid progress:read"}),
        json!({"scope": ["progress:read"]}),
    ] {
        let token = signer.token(&claims(scopes.clone()));
        let answer = ask(&world, Method::GET, "/api/tasks", &[&bearer(&token)]).await;
        assert_eq!(answer.status, 200, "{scopes}");
    }
    let admin =
        json!({"scope": "admin *", "roles": ["progress:read"], "permissions": ["progress:read"]});
    let token = signer.token(&claims(admin));
    let answer = ask(&world, Method::GET, "/api/tasks", &[&bearer(&token)]).await;
    assert_eq!(answer.status, 403);
}
