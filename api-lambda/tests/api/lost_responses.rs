//! A write is visible after a moment, even if its response was lost and the cache was not updated.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::json;
use testkit::cache::memory::InMemoryTaskCache;
use testkit::faults::{Fault, Faults, Faulty};
use testkit::store::memory::InMemoryStore;
use tokio::time::advance;

use crate::harness::Harness;

/// An API with a cached task and a cached list. The given call to the store will succeed, but
/// return an error.
async fn with_lost_response(call: u64) -> Harness {
    let faults = Faults::none();
    let store = Faulty::new(Arc::new(InMemoryStore::new()), faults.clone());
    let cache = Arc::new(InMemoryTaskCache::new());
    let harness = Harness::with_tasks(Arc::new(store), Some(cache));
    let body = json!({"task_id": "a", "task_name": "x", "task_type": "build"});
    harness.make("/api/tasks", body).await;
    harness.read("/api/tasks").await;
    harness.read("/api/tasks/a").await;
    faults.fail_call(call, Fault::AnswerLost);
    harness
}

#[tokio::test(start_paused = true)]
async fn a_repeated_change_is_visible_after_a_lost_response() {
    let harness = with_lost_response(2).await; // the first call reads the task, the second writes it
    let patch = || {
        let request = Request::patch("/api/tasks/a").header("content-type", "application/json");
        request.body(Body::from(r#"{"message":"new"}"#)).unwrap()
    };
    let lost = harness.send(patch()).await;
    assert_eq!(lost.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        harness.read("/api/tasks/a").await["revision"],
        1,
        "as cached"
    );
    let again = harness.send(patch()).await;
    assert_eq!(
        (again.status, &again.json()["revision"]),
        (StatusCode::OK, &json!(2))
    );
    advance(Duration::from_secs(5)).await;
    assert_eq!(harness.read("/api/tasks/a").await["revision"], 2);
    assert_eq!(harness.read("/api/tasks").await["tasks"][0]["revision"], 2);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_created_again_is_listed_after_a_lost_response() {
    let harness = with_lost_response(1).await;
    let post = || {
        let request = Request::post("/api/tasks")
            .header("content-type", "application/json")
            .header("idempotency-key", "k");
        let body = r#"{"task_id":"b","task_name":"x","task_type":"build"}"#;
        request.body(Body::from(body)).unwrap()
    };
    let lost = harness.send(post()).await;
    assert_eq!(lost.status, StatusCode::SERVICE_UNAVAILABLE);
    let again = harness.send(post()).await;
    assert_eq!(again.status, StatusCode::CREATED);
    advance(Duration::from_secs(5)).await;
    assert_eq!(
        harness.read("/api/tasks").await["tasks"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[tokio::test]
async fn a_client_never_gets_an_older_state_than_it_has() {
    let harness = with_lost_response(2).await;
    let request = Request::patch("/api/tasks/a").header("content-type", "application/json");
    let patch = request.body(Body::from(r#"{"message":"new"}"#)).unwrap();
    harness.send(patch).await; // the store has it, the cache does not
    let known = Request::get("/api/tasks/a").header("if-none-match", "\"2-0\"");
    let response = harness.send(known.body(Body::empty()).unwrap()).await;
    assert_eq!(response.json()["revision"], 2);
}
