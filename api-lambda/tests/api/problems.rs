use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use lambda_http::{Context, RequestExt as _};

use testkit::faults::{ErrorKind, Fault, MESSAGE};

use crate::world::{World, down_store};

const TASK: &str = r#"{"task_name":"Build","task_type":"build"}"#;

#[tokio::test]
async fn a_path_that_is_not_ours_is_a_problem() {
    let world = World::new();
    let paths = [
        "/api",
        "/api/task",
        "/api/tasks/",
        "/api/tasks/a/b",
        "//evil/api",
        "/api/tasks/a/history/",
    ];
    for path in paths {
        let answer = world.get(path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(answer.problem(), "unknown-path", "{path}");
    }
}

#[tokio::test]
async fn a_method_that_a_path_does_not_take_is_a_problem() {
    let world = World::new();
    for (method, path, allow) in [
        (Method::DELETE, "/api/tasks", "GET,HEAD,POST"),
        (Method::PUT, "/api/projects", "GET,HEAD,POST"),
        (Method::POST, "/health", "GET,HEAD"),
        (Method::POST, "/api/tasks/a/history", "GET,HEAD"),
    ] {
        let answer = world.call(method, path).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert_eq!(answer.problem(), "method-not-allowed");
        assert_eq!(answer.header("allow"), allow);
    }
}

#[tokio::test]
async fn a_body_has_to_be_json() {
    let world = World::new();
    let check = async |content_type: Option<&str>, body: Vec<u8>, problem: &str, status: u16| {
        let mut request = Request::post("/api/tasks");
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let answer = world.send(request.body(Body::from(body)).unwrap()).await;
        assert_eq!(answer.problem(), problem);
        assert_eq!(answer.status.as_u16(), status);
        assert_eq!(world.stored().await, []);
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
        world.post("/api/tasks", largest.clone()).await.status,
        StatusCode::CREATED
    );
    let larger = format!("{largest} ");
    assert_eq!(
        world.post("/api/tasks", larger).await.problem(),
        "body-too-large"
    );
}

#[tokio::test]
async fn a_fault_inside_stays_inside() {
    for (fault, status, problem) in [
        (
            Fault::Error(ErrorKind::Unavailable),
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
        ),
        (
            Fault::Error(ErrorKind::Refused),
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
        ),
        (Fault::Panic, StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    ] {
        let world = World::with_tasks(down_store(fault), None);
        let mut answers = vec![world.post("/api/tasks", TASK).await];
        for path in [
            "/api/tasks",
            "/api/tasks/a",
            "/api/tasks/a/history",
            "/api/projects/a/tasks",
        ] {
            answers.push(world.get(path).await);
        }
        for answer in answers {
            assert_eq!(
                (answer.status, answer.problem().as_str()),
                (status, problem)
            );
            let may_try_again = status == StatusCode::SERVICE_UNAVAILABLE;
            assert_eq!(answer.headers.contains_key("retry-after"), may_try_again);
            let text = String::from_utf8(answer.body).unwrap();
            assert!(!text.contains(MESSAGE), "{text}");
        }
    }
}

#[tokio::test]
async fn an_answer_names_its_request() {
    let world = World::new();
    let mut context = Context::default();
    context.request_id = "11111111-2222-3333-4444-555555555555".to_owned();
    let request = Request::get("/api/tasks/none").header("x-request-id", "forged");
    let request = request.body(Body::empty()).unwrap();
    let answer = world
        .send(request.with_lambda_context(context.clone()))
        .await;
    assert_eq!(answer.header("x-request-id"), context.request_id);
    assert_eq!(answer.json()["request_id"], context.request_id);
    assert_eq!(answer.json()["instance"], "/api/tasks/none");
    let (one, other) = (world.get("/health").await, world.get("/health").await);
    assert_eq!(one.header("x-request-id").len(), 36);
    assert_ne!(one.header("x-request-id"), other.header("x-request-id"));
}

#[tokio::test]
async fn an_answer_is_never_taken_for_a_page() {
    let world = World::new();
    for path in ["/health", "/api/tasks", "/api/tasks/none", "/nowhere"] {
        let answer = world.get(path).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        let is_json = answer.header("content-type").ends_with("json");
        assert!(is_json, "{path}");
    }
    let answer = world.get("/api/tasks").await;
    assert_eq!(
        answer.header("cache-control"),
        "private, max-age=0, must-revalidate"
    );
}
