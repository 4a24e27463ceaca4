use std::sync::Arc;

use axum::http::StatusCode;
use testkit::faults::{ErrorKind, Fault};
use testkit::store::memory::InMemoryStore;

use crate::world::{World, down_cache, down_store};

#[tokio::test]
async fn health_asks_nobody() {
    let world = World::with_tasks(down_store(Fault::Panic), Some(down_cache()));
    let answer = world.get("/health").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json(), serde_json::json!({"status": "healthy"}));
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test]
async fn the_api_is_ready_without_a_cache() {
    let ready = World::with_cache(None).read("/ready").await;
    assert_eq!(ready["status"], "ready");
    assert_eq!(ready["redis"]["status"], "disabled");
    assert_eq!(ready["dynamodb"]["status"], "ok");
    assert!(ready["dynamodb"]["latency_ms"].is_u64());

    let down = World::with_cache(Some(down_cache()));
    let ready = down.read("/ready").await;
    assert_eq!(ready["redis"]["status"], "down");
    assert!(ready["redis"]["latency_ms"].is_u64());
}

#[tokio::test]
async fn the_api_is_not_ready_without_its_store() {
    let up = World::with_tasks(Arc::new(InMemoryStore::new()), None);
    assert_eq!(up.get("/ready").await.status, StatusCode::OK);

    let store = down_store(Fault::Error(ErrorKind::Unavailable));
    let down = World::with_tasks(store, None);
    let answer = down.get("/ready").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.problem(), "not-ready");
    assert_eq!(answer.json()["dynamodb"]["status"], "down");
    assert!(!answer.header("retry-after").is_empty());
}
