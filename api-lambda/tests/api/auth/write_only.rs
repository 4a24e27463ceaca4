//! A token without `progress:read` never receives a task or a project.

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Value, json};

use crate::auth::signer::Signer;
use crate::auth::{bearer, claims, harness_for, send};
use crate::harness::{ApiResponse, Harness, task};

/// A token with these scopes. All are of one subject.
fn token(signer: &Signer, scopes: &str) -> String {
    bearer(&signer.token(&claims(json!({"scope": scopes}))))
}

async fn write(
    harness: &Harness,
    token: &str,
    (method, path): (Method, &str),
    headers: &[(&str, &str)],
    body: Value,
) -> ApiResponse {
    let mut request = Request::builder().method(method).uri(path);
    request = request.header("content-type", "application/json");
    request = request.header("authorization", token);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from(body.to_string()));
    harness.send(request.unwrap()).await
}

/// Checks that a response tells where something is and its tag, and nothing else.
async fn assert_hidden(harness: &Harness, signer: &Signer, response: &ApiResponse, path: &str) {
    assert_eq!(response.status, 204, "{path}: {response:?}");
    assert!(response.body.is_empty(), "{path}: {response:?}");
    assert_eq!(response.header("content-type"), "", "{path}");
    assert_eq!(response.header("cache-control"), "no-store", "{path}");
    assert_eq!(response.header("location"), path);
    let reader = token(signer, "progress:read");
    let read = send(harness, Method::GET, path, &[&reader]).await;
    assert_eq!(response.header("etag"), read.header("etag"), "{path}");
}

#[tokio::test]
async fn a_write_only_token_receives_no_body() {
    let [signer, ..] = Signer::all();
    let harness = harness_for(&signer).await;
    let writer = token(&signer, "progress:write");
    let task = json!({"task_id": "b", "task_name": "B", "task_type": "build"});
    let project = json!({"project_id": "p", "project_name": "P"});
    for (method, collection, path, body) in [
        (Method::POST, "/api/tasks", "/api/tasks/b", task),
        (Method::POST, "/api/projects", "/api/projects/p", project),
        (Method::PATCH, "/api/tasks/a", "/api/tasks/a", json!({})),
        (
            Method::PATCH,
            "/api/tasks/a",
            "/api/tasks/a",
            json!({"message": "m"}),
        ),
        (
            Method::PATCH,
            "/api/projects/p",
            "/api/projects/p",
            json!({}),
        ),
        (
            Method::PATCH,
            "/api/projects/p",
            "/api/projects/p",
            json!({"owner": "o"}),
        ),
    ] {
        let response = write(&harness, &writer, (method, collection), &[], body).await;
        assert_hidden(&harness, &signer, &response, path).await;
    }
}

#[tokio::test]
async fn a_write_only_token_can_change_what_it_has_created() {
    let [signer, ..] = Signer::all();
    let harness = harness_for(&signer).await;
    let writer = token(&signer, "progress:write");
    let body = json!({"task_name": "Random id", "task_type": "build"});
    let made = write(&harness, &writer, (Method::POST, "/api/tasks"), &[], body).await;
    let path = made.header("location");
    let change = async |tag: &str, status: &str| {
        let headers = [("if-match", tag)];
        let body = json!({"status": status});
        write(&harness, &writer, (Method::PATCH, path), &headers, body).await
    };
    let running = change(made.header("etag"), "running").await;
    assert_eq!(running.status, 204, "{running:?}");
    let stale = change(made.header("etag"), "completed").await;
    assert_eq!(stale.problem(), "precondition-failed");
    let ended = change(running.header("etag"), "completed").await;
    assert_eq!(ended.status, 204, "{ended:?}");
}

#[tokio::test]
async fn a_repeated_request_shows_only_what_its_own_token_may_read() {
    let [signer, ..] = Signer::all();
    let harness = harness_for(&signer).await;
    let (writer, both) = (
        token(&signer, "progress:write"),
        token(&signer, "progress:read progress:write"),
    );
    for (key, first, second) in [("1", &both, &writer), ("2", &writer, &both)] {
        let body = || json!({"task_name": "T", "task_type": "build"});
        let post = (Method::POST, "/api/tasks");
        let headers = [("idempotency-key", key)];
        let first = write(&harness, first, post.clone(), &headers, body()).await;
        let second = write(&harness, second, post, &headers, body()).await;
        assert_eq!(first.header("location"), second.header("location"));
        assert_eq!(first.header("etag"), second.header("etag"));
        assert_eq!(second.header("idempotency-replayed"), "true");
        let (shown, hidden) = match key {
            "1" => (first, second),
            _ => (second, first),
        };
        assert_eq!(shown.status, 201);
        assert_eq!(shown.json()["task_name"], "T");
        assert_hidden(&harness, &signer, &hidden, hidden.header("location")).await;
    }
}

#[tokio::test]
async fn problems_do_not_show_a_task_to_a_write_only_token() {
    let [signer, ..] = Signer::all();
    let harness = harness_for(&signer).await;
    let mut secret = task("secret", 1);
    secret.task_name = "sesame-name".to_owned();
    secret.message = Some("sesame-message".to_owned());
    secret.metadata = json!({"sesame-key": "sesame-value"}).as_object().cloned();
    secret.status = shared::model::TaskStatus::Cancelled;
    harness.save(&secret).await;
    let writer = token(&signer, "progress:write");
    let path = "/api/tasks/secret";
    let create = json!({"task_id": "a", "task_name": "A", "task_type": "build"});
    let stale = [("if-match", "\"9-0\"")];
    let responses = [
        write(&harness, &writer, (Method::POST, "/api/tasks"), &[], create).await,
        write(
            &harness,
            &writer,
            (Method::PATCH, path),
            &[],
            json!({"status": "running"}),
        )
        .await,
        write(
            &harness,
            &writer,
            (Method::PATCH, path),
            &stale,
            json!({"message": "x"}),
        )
        .await,
        write(
            &harness,
            &writer,
            (Method::PATCH, path),
            &[],
            json!({"metadata": {"x": "x".repeat(5000)}, "status": 7, "task_name": null}),
        )
        .await,
    ];
    let problems = [
        "task-exists",
        "illegal-move",
        "precondition-failed",
        "invalid-fields",
    ];
    for (response, problem) in responses.into_iter().zip(problems) {
        assert_eq!(response.problem(), problem);
        let text = String::from_utf8(response.body).unwrap();
        for hidden in ["sesame", "cancelled"] {
            assert!(!text.contains(hidden), "{text}");
        }
    }
    // With the scope, the reason is shown.
    let both = token(&signer, "progress:read progress:write");
    let body = json!({"status": "running"});
    let shown = write(&harness, &both, (Method::PATCH, path), &[], body).await;
    let detail = "a task that is cancelled can't become running";
    assert_eq!(shown.json()["detail"], detail);
}
