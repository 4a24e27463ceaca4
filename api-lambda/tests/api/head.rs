//! HEAD is GET without the body.

use std::fs;
use std::path::Path;

use axum::body::Body;
use axum::http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderName, Method, Request};
use serde_json::{Value, json};

use crate::harness::{ApiResponse, Harness, failing_store, task};

/// A path for each route, and paths that get a problem.
const PATHS: [&str; 22] = [
    "/",
    "/health",
    "/ready",
    "/openapi.json",
    "/docs",
    "/docs/docs.js",
    "/favicon.svg",
    "/favicon.ico",
    "/api/tasks",
    "/api/tasks?status=pending&limit=1",
    "/api/tasks/task-1",
    "/api/tasks/task-1/history",
    "/api/tasks/task-1/runs",
    "/api/projects",
    "/api/projects/p",
    "/api/projects/p/tasks",
    "/api/overview",
    "/api/tasks?limit=0",
    "/api/tasks/none",
    "/api/projects/none",
    "/api/nothing",
    "/docs/nothing.js",
];

async fn send(
    harness: &Harness,
    method: Method,
    path: &str,
    headers: &[(HeaderName, &str)],
) -> ApiResponse {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    harness.send(request.body(Body::empty()).unwrap()).await
}

/// All headers. Every request has an id and times of its own.
fn comparable(response: &ApiResponse) -> HeaderMap {
    let mut headers = response.headers.clone();
    for own in ["x-request-id", "server-timing"] {
        if let Some(value) = headers.get_mut(own) {
            *value = "any".parse().unwrap();
        }
    }
    headers
}

/// Compares the responses to HEAD and GET. Returns the one to GET.
async fn check(harness: &Harness, path: &str, headers: &[(HeaderName, &str)]) -> ApiResponse {
    // The first request may fill the cache.
    send(harness, Method::GET, path, headers).await;
    let head = send(harness, Method::HEAD, path, headers).await;
    let get = send(harness, Method::GET, path, headers).await;
    assert_eq!(head.status, get.status, "{path} {headers:?}");
    assert_eq!(comparable(&head), comparable(&get), "{path} {headers:?}");
    assert!(head.body.is_empty(), "{path} {headers:?}");
    get
}

/// An API with twenty tasks, one of them with an earlier run, and a project.
async fn harness() -> Harness {
    let harness = Harness::new();
    for number in 0..20 {
        harness.save(&task(&format!("task-{number}"), number)).await;
    }
    let project = json!({"project_id": "p", "project_name": "P"});
    harness.make("/api/projects", project).await;
    harness
}

#[tokio::test]
async fn head_has_the_headers_of_get_on_every_route() {
    let harness = harness().await;
    for path in PATHS {
        let plain = check(&harness, path, &[]).await;
        if !plain.status.is_redirection() {
            let length = plain.header(CONTENT_LENGTH.as_str());
            assert_eq!(length, plain.body.len().to_string(), "{path}");
        }
        for encoding in ["gzip", "br"] {
            let accepted = (ACCEPT_ENCODING, encoding);
            let packed = check(&harness, path, std::slice::from_ref(&accepted)).await;
            let tag = packed.header(ETAG.as_str());
            let known = [accepted, (IF_NONE_MATCH, tag)];
            let known = check(&harness, path, &known).await;
            let expected = if tag.is_empty() {
                plain.status.as_u16()
            } else {
                304
            };
            assert_eq!(known.status.as_u16(), expected, "{path}");
        }
    }
    let packed = [(ACCEPT_ENCODING, "gzip")];
    let head = send(&harness, Method::HEAD, "/api/tasks", &packed).await;
    assert_eq!(head.header("content-encoding"), "gzip");
}

#[tokio::test]
async fn head_has_the_headers_of_get_if_the_store_is_down() {
    let harness = Harness::with_tasks(failing_store(), None);
    for path in ["/ready", "/api/tasks", "/api/tasks/a"] {
        let response = check(&harness, path, &[]).await;
        assert_eq!(response.status, 503, "{path}");
    }
}

/// The response to an event, which is parsed as the Lambda runtime parses it.
async fn send_event(harness: &Harness, event: &Value) -> ApiResponse {
    let request = lambda_http::request::from_str(&event.to_string()).unwrap();
    harness.send(request.map(Body::new)).await
}

#[tokio::test]
async fn head_has_the_headers_of_get_behind_every_service() {
    let events = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events/api");
    let harness = harness().await;
    harness.save(&task("cdk:deploy-42", 30)).await;
    for source in fs::read_dir(events).unwrap() {
        let source = source.unwrap().path();
        for file in ["get-task.json", "get-encoded-task.json", "list-tasks.json"] {
            let Ok(event) = fs::read_to_string(source.join(file)) else {
                continue; // sources of authenticated requests have fewer events
            };
            let mut event: Value = serde_json::from_str(&event).unwrap();
            send_event(&harness, &event).await;
            let get = send_event(&harness, &event).await;
            match event.pointer_mut("/requestContext/http/method") {
                Some(method) => *method = "HEAD".into(),
                None => event["httpMethod"] = "HEAD".into(),
            }
            let head = send_event(&harness, &event).await;
            assert_eq!(head.status, get.status, "{source:?} {file}");
            assert_eq!(comparable(&head), comparable(&get), "{source:?} {file}");
            assert!(head.body.is_empty() && !get.body.is_empty());
        }
    }
}
