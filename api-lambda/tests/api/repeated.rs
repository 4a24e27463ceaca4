//! What was written is seen, though its answer was lost and the cache was not told.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::json;
use testkit::cache::memory::InMemoryTaskCache;
use testkit::faults::{Fault, Faults, Faulty};
use testkit::store::memory::InMemoryStore;

use crate::world::World;

/// A task in a world whose store loses its next answer, and a list that is cached before.
async fn with_lost_answer(call: u64) -> World {
    let faults = Faults::none();
    let store = Faulty::new(Arc::new(InMemoryStore::new()), faults.clone());
    let cache = Arc::new(InMemoryTaskCache::new());
    let world = World::with_tasks(Arc::new(store), Some(cache));
    let body = json!({"task_id": "a", "task_name": "x", "task_type": "build"});
    world.make("/api/tasks", body).await;
    world.read("/api/tasks").await;
    world.read("/api/tasks/a").await;
    faults.fail_call(call, Fault::AnswerLost);
    world
}

#[tokio::test]
async fn a_change_that_is_sent_again_is_seen_though_the_first_answer_was_lost() {
    let world = with_lost_answer(2).await; // of reading the task, and of writing it
    let patch = || {
        let request = Request::patch("/api/tasks/a").header("content-type", "application/json");
        request.body(Body::from(r#"{"message":"new"}"#)).unwrap()
    };
    let lost = world.send(patch()).await;
    assert_eq!(lost.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(world.read("/api/tasks/a").await["revision"], 1, "as cached");
    let again = world.send(patch()).await;
    assert_eq!(
        (again.status, &again.json()["revision"]),
        (StatusCode::OK, &json!(2))
    );
    assert_eq!(world.read("/api/tasks/a").await["revision"], 2);
    assert_eq!(world.read("/api/tasks").await["tasks"][0]["revision"], 2);
}

#[tokio::test]
async fn a_task_that_is_made_again_is_in_lists_though_the_first_answer_was_lost() {
    let world = with_lost_answer(1).await;
    let post = || {
        let request = Request::post("/api/tasks")
            .header("content-type", "application/json")
            .header("idempotency-key", "k");
        let body = r#"{"task_id":"b","task_name":"x","task_type":"build"}"#;
        request.body(Body::from(body)).unwrap()
    };
    let lost = world.send(post()).await;
    assert_eq!(lost.status, StatusCode::SERVICE_UNAVAILABLE);
    let again = world.send(post()).await;
    assert_eq!(again.status, StatusCode::CREATED);
    assert_eq!(
        world.read("/api/tasks").await["tasks"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[tokio::test]
async fn who_has_a_later_state_than_the_cache_is_not_shown_an_earlier_one() {
    let world = with_lost_answer(2).await;
    let request = Request::patch("/api/tasks/a").header("content-type", "application/json");
    let patch = request.body(Body::from(r#"{"message":"new"}"#)).unwrap();
    world.send(patch).await; // it was written, and the cache was not told
    let known = Request::get("/api/tasks/a").header("if-none-match", "\"2-0\"");
    let answer = world.send(known.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.json()["revision"], 2);
}
