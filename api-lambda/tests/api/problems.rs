use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use lambda_http::{Context, RequestExt as _};
use testkit::faults::MESSAGE;

use crate::harness::{Harness, failing_store, panicking_store, refusing_store};

const TASK: &str = r#"{"task_name":"Build","task_type":"build"}"#;

#[tokio::test]
async fn an_unknown_path_is_a_problem() {
    let harness = Harness::new();
    let paths = [
        "/api",
        "/api/task",
        "/api/tasks/",
        "/api/tasks/a/b",
        "//evil/api",
        "/api/tasks/a/history/",
    ];
    for path in paths {
        let response = harness.get(path).await;
        assert_eq!(response.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(response.problem(), "unknown-path", "{path}");
    }
}

#[tokio::test]
async fn an_unsupported_method_is_a_problem() {
    let harness = Harness::new();
    for (method, path, allow) in [
        (Method::DELETE, "/api/tasks", "GET,HEAD,POST"),
        (Method::PUT, "/api/projects", "GET,HEAD,POST"),
        (Method::POST, "/health", "GET,HEAD"),
        (Method::POST, "/api/tasks/a/history", "GET,HEAD"),
    ] {
        let response = harness.call(method, path).await;
        assert_eq!(response.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert_eq!(response.problem(), "method-not-allowed");
        assert_eq!(response.header("allow"), allow);
    }
}

#[tokio::test]
async fn a_body_must_be_json() {
    let harness = Harness::new();
    let check = async |content_type: Option<&str>, body: Vec<u8>, problem: &str, status: u16| {
        let mut request = Request::post("/api/tasks");
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let response = harness.send(request.body(Body::from(body)).unwrap()).await;
        assert_eq!(response.problem(), problem);
        assert_eq!(response.status.as_u16(), status);
        assert_eq!(harness.stored().await, []);
    };
    let json = Some("application/json");
    check(None, TASK.into(), "unsupported-media-type", 415).await;
    check(
        Some("text/plain"),
        TASK.into(),
        "unsupported-media-type",
        415,
    )
    .await;
    check(json, b"".to_vec(), "malformed-body", 400).await;
    check(json, b"{\"task_name\":".to_vec(), "malformed-body", 400).await;
    check(
        json,
        b"{\"task_name\":\"\xff\"}".to_vec(),
        "malformed-body",
        400,
    )
    .await;
    check(
        json,
        b"{\"task_name\":\"\\ud800\"}".to_vec(),
        "malformed-body",
        400,
    )
    .await;
    check(json, b"[".repeat(10_000), "invalid-fields", 422).await;
    let deep = [b"{\"metadata\":".as_slice(), &b"[".repeat(10_000)].concat();
    check(json, deep, "malformed-body", 400).await;
    let huge = format!(r#"{{"task_name":"{}"}}"#, "x".repeat(1_000_000));
    check(json, huge.into(), "body-too-large", 413).await;
    let largest = format!("{TASK}{}", " ".repeat(64 * 1024 - TASK.len()));
    assert_eq!(
        harness.post("/api/tasks", largest.clone()).await.status,
        StatusCode::CREATED
    );
    let larger = format!("{largest} ");
    assert_eq!(
        harness.post("/api/tasks", larger).await.problem(),
        "body-too-large"
    );
}

#[tokio::test]
async fn a_response_hides_internal_errors() {
    for (store, status, problem) in [
        (
            failing_store(),
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
        ),
        (
            refusing_store(),
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
        ),
        (
            panicking_store(),
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
        ),
    ] {
        let harness = Harness::with_tasks(store, None);
        let mut responses = vec![harness.post("/api/tasks", TASK).await];
        for path in [
            "/api/tasks",
            "/api/tasks/a",
            "/api/tasks/a/history",
            "/api/tasks/a/runs",
            "/api/projects/a/tasks",
        ] {
            responses.push(harness.get(path).await);
        }
        for response in responses {
            assert_eq!(
                (response.status, response.problem().as_str()),
                (status, problem)
            );
            let may_try_again = status == StatusCode::SERVICE_UNAVAILABLE;
            assert_eq!(response.headers.contains_key("retry-after"), may_try_again);
            let text = String::from_utf8(response.body).unwrap();
            assert!(!text.contains(MESSAGE), "{text}");
        }
    }
}

#[tokio::test]
async fn a_response_has_the_id_of_its_request() {
    let harness = Harness::new();
    let mut context = Context::default();
    context.request_id = "11111111-2222-3333-4444-555555555555".to_owned();
    let request = Request::get("/api/tasks/none").header("x-request-id", "forged");
    let request = request.body(Body::empty()).unwrap();
    let response = harness
        .send(request.with_lambda_context(context.clone()))
        .await;
    assert_eq!(response.header("x-request-id"), context.request_id);
    assert_eq!(response.json()["request_id"], context.request_id);
    assert_eq!(response.json()["instance"], "/api/tasks/none");
    let (one, other) = (harness.get("/health").await, harness.get("/health").await);
    assert_eq!(one.header("x-request-id").len(), 36);
    assert_ne!(one.header("x-request-id"), other.header("x-request-id"));
}

#[tokio::test]
async fn a_response_is_never_html() {
    let harness = Harness::new();
    for path in ["/health", "/api/tasks", "/api/tasks/none", "/nowhere"] {
        let response = harness.get(path).await;
        assert_eq!(response.header("x-content-type-options"), "nosniff");
        let is_json = response.header("content-type").ends_with("json");
        assert!(is_json, "{path}");
    }
    let response = harness.get("/api/tasks").await;
    assert_eq!(
        response.header("cache-control"),
        "private, max-age=0, must-revalidate"
    );
}
