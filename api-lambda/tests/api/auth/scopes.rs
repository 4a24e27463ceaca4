//! The scopes that each route needs.

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Value, json};

use crate::auth::signer::Signer;
use crate::auth::{
    AUDIENCE, CHALLENGE, ISSUER, SCOPE_PREFIX, bearer, claims, cognito_claims, harness,
    harness_for, send,
};
use crate::harness::{ApiResponse, Harness};

/// Sends a request without a token, with an unrelated scope, with `progress:read`, with
/// `progress:write`, and with `progress:logs`. Checks which of them pass authentication.
async fn check(
    harness: &Harness,
    signer: &Signer,
    method: &Method,
    path: &str,
    expected: [bool; 5],
) {
    let scopes = [
        None,
        Some("openid"),
        Some("progress:read"),
        Some("progress:write"),
        Some("progress:logs"),
    ];
    for (scope, expected) in scopes.into_iter().zip(expected) {
        let token = scope.map(|scope| bearer(&signer.token(&claims(json!({"scope": scope})))));
        let headers: Vec<_> = token.iter().map(String::as_str).collect();
        let response = send(harness, method.clone(), path, &headers).await;
        let status = response.status.as_u16();
        if expected {
            assert!(
                ![401, 403].contains(&status),
                "{method} {path} {scope:?}: {response:?}"
            );
            continue;
        }
        let expected_status = if scope.is_none() { 401 } else { 403 };
        assert_eq!(status, expected_status, "{method} {path} {scope:?}");
        if method != Method::HEAD {
            let problem = if scope.is_none() {
                "unauthenticated"
            } else {
                "insufficient-scope"
            };
            assert_eq!(response.problem(), problem);
        }
    }
}

const OPEN: [bool; 5] = [true; 5];
const READ: [bool; 5] = [false, false, true, false, false];
const WRITE: [bool; 5] = [false, false, false, true, false];
const LOGS: [bool; 5] = [false, false, false, false, true];

#[tokio::test]
async fn every_operation_needs_the_scope_that_the_document_names() {
    let [signer, ..] = Signer::all();
    let harness = harness_for(&signer).await;
    let document: Value = serde_json::from_str(include_str!("../../../openapi.json")).unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        let segments = path.split('/');
        let segments = segments.map(|segment| match segment.starts_with('{') {
            true => "none",
            false => segment,
        });
        let path = segments.collect::<Vec<_>>().join("/");
        for (method, operation) in item.as_object().unwrap() {
            let scope = &operation["security"][0]["token"][0];
            let expected = match scope.as_str() {
                None => OPEN,
                Some("progress:read") => READ,
                Some("progress:write") => WRITE,
                Some("progress:logs") => LOGS,
                Some(scope) => panic!("{method} {path}: {scope}"),
            };
            let method = method.to_uppercase().parse().unwrap();
            check(&harness, &signer, &method, &path, expected).await;
        }
    }
}

#[tokio::test]
async fn every_route_needs_its_scope() {
    let [signer, ..] = Signer::all();
    let harness = harness_for(&signer).await;
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
        // Paths that do not exist need a token too.
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
            check(&harness, &signer, &method, path, READ).await;
        }
        for method in ["POST", "PUT", "PATCH", "DELETE", "TRACE", "PURGE"] {
            let method = method.parse().unwrap();
            check(&harness, &signer, &method, path, WRITE).await;
        }
    }
}

#[tokio::test]
async fn open_routes_need_no_token() {
    let [signer, ..] = Signer::all();
    let harness = harness_for(&signer).await;
    for path in [
        "/health",
        "/",
        "/openapi.json",
        "/docs",
        "/docs/x",
        "/assets/page.js",
    ] {
        for method in [Method::GET, Method::HEAD] {
            check(&harness, &signer, &method, path, OPEN).await;
        }
        check(&harness, &signer, &Method::POST, path, WRITE).await;
    }
    let health = send(&harness, Method::GET, "/health", &["Bearer not-a-token"]).await;
    assert_eq!(health.json(), json!({"status": "healthy"}));
}

#[tokio::test]
async fn a_preflight_needs_no_token() {
    let [signer, ..] = Signer::all();
    let harness = harness_for(&signer).await;
    let request = Request::options("/api/tasks")
        .header("origin", "https://example.com")
        .header("access-control-request-method", "POST");
    let response = harness.send(request.body(Body::empty()).unwrap()).await;
    assert!(
        ![401, 403].contains(&response.status.as_u16()),
        "{response:?}"
    );
}

async fn post(harness: &Harness, token: &str, body: Value) -> ApiResponse {
    let request = Request::post("/api/tasks")
        .header("content-type", "application/json")
        .header("authorization", bearer(token));
    harness
        .send(request.body(Body::from(body.to_string())).unwrap())
        .await
}

#[tokio::test]
async fn without_the_write_scope_nothing_changes() {
    let [signer, ..] = Signer::all();
    let harness = harness_for(&signer).await;
    let body = json!({"task_id": "b", "task_name": "B", "task_type": "build"});
    let reader = signer.token(&claims(json!({"scope": "progress:read"})));
    let response = post(&harness, &reader, body.clone()).await;
    assert_eq!(response.status, 403);
    assert_eq!(response.problem(), "insufficient-scope");
    let detail = "the token must have the scope progress:write";
    assert_eq!(response.json()["detail"], detail);
    let challenge = format!(
        r#"{CHALLENGE}, error="insufficient_scope", error_description="{detail}", scope="progress:write""#
    );
    assert_eq!(response.header("www-authenticate"), challenge);
    // The response does not even tell what is wrong with the body.
    assert_eq!(post(&harness, &reader, json!([])).await.status, 403);
    assert_eq!(harness.stored().await.len(), 1);

    let writer = signer.token(&claims(json!({"scope": "progress:write"})));
    assert_eq!(post(&harness, &writer, body).await.status, 204);
    assert_eq!(harness.stored().await.len(), 2);
}

#[tokio::test]
async fn scopes_can_be_in_either_claim() {
    let [signer, ..] = Signer::all();
    let harness = harness_for(&signer).await;
    for scopes in [
        json!({"scope": null, "scp": ["progress:read"]}),
        json!({"scope": null, "scp": "openid progress:read"}),
        json!({"scope": ["progress:read"]}),
    ] {
        let token = signer.token(&claims(scopes.clone()));
        let response = send(&harness, Method::GET, "/api/tasks", &[&bearer(&token)]).await;
        assert_eq!(response.status, 200, "{scopes}");
    }
    let admin =
        json!({"scope": "admin *", "roles": ["progress:read"], "permissions": ["progress:read"]});
    let token = signer.token(&claims(admin));
    let response = send(&harness, Method::GET, "/api/tasks", &[&bearer(&token)]).await;
    assert_eq!(response.status, 403);
}

#[tokio::test]
async fn scopes_can_have_the_prefix_of_cognito() {
    let [signer, ..] = Signer::all();
    let (name, value) = signer.setting();
    let issuer = ("AUTH_ISSUER", ISSUER);
    let audience = ("AUTH_AUDIENCE", AUDIENCE);
    let cognito = harness(&[(name, &value), issuer, audience, SCOPE_PREFIX]).await;
    let plain = harness_for(&signer).await;
    for (scope, with_prefix, without) in [
        ("miyabi/progress:read", 200, 403),
        ("miyabi/progress:write miyabi/progress:read", 200, 403),
        ("miyabi/progress:write", 403, 403),
        ("other/progress:read", 403, 403),
        ("progress:read", 403, 200),
    ] {
        let token = bearer(&signer.token(&cognito_claims(scope)));
        for (harness, expected) in [(&cognito, with_prefix), (&plain, without)] {
            let response = send(harness, Method::GET, "/api/tasks", &[&token]).await;
            assert_eq!(response.status, expected, "{scope}: {response:?}");
        }
    }
    let token = bearer(&signer.token(&cognito_claims("openid")));
    let response = send(&cognito, Method::GET, "/api/tasks", &[&token]).await;
    let detail = "the token must have the scope miyabi/progress:read";
    assert_eq!(response.json()["detail"], detail);
    assert_eq!(
        response.header("www-authenticate"),
        format!(
            r#"{CHALLENGE}, error="insufficient_scope", error_description="{detail}", scope="miyabi/progress:read""#
        )
    );
}
