use std::sync::Arc;

use axum::http::StatusCode;
use testkit::store::memory::InMemoryStore;

use crate::harness::{Harness, failing_cache, failing_store, panicking_store};

#[tokio::test]
async fn health_does_not_need_the_store_or_the_cache() {
    let harness = Harness::with_tasks(panicking_store(), Some(failing_cache()));
    let response = harness.get("/health").await;
    assert_eq!(response.status, StatusCode::OK);
    assert_eq!(response.json(), serde_json::json!({"status": "healthy"}));
    assert_eq!(response.header("cache-control"), "no-store");
}

#[tokio::test]
async fn the_api_is_ready_without_a_cache() {
    let ready = Harness::with_cache(None).read("/ready").await;
    assert_eq!(ready["status"], "ready");
    assert_eq!(ready["redis"]["status"], "disabled");
    assert_eq!(ready["dynamodb"]["status"], "ok");
    assert!(ready["dynamodb"]["latency_ms"].is_u64());

    let down = Harness::with_cache(Some(failing_cache()));
    let ready = down.read("/ready").await;
    assert_eq!(ready["redis"]["status"], "down");
    assert!(ready["redis"]["latency_ms"].is_u64());
}

#[tokio::test]
async fn the_api_is_not_ready_without_its_store() {
    let up = Harness::with_tasks(Arc::new(InMemoryStore::new()), None);
    assert_eq!(up.get("/ready").await.status, StatusCode::OK);

    let down = Harness::with_tasks(failing_store(), None);
    let response = down.get("/ready").await;
    assert_eq!(response.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.problem(), "not-ready");
    assert_eq!(response.json()["dynamodb"]["status"], "down");
    assert!(!response.header("retry-after").is_empty());
}
