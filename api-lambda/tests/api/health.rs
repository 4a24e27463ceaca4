use std::sync::Arc;

use axum::http::StatusCode;
use shared::config::StoreConfig;
use shared::store::dynamodb::{DynamoDbProjectStore, DynamoDbTaskStore};
use testkit::embedded_dynamodb::EmbeddedDynamoDb;
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

#[tokio::test]
async fn the_api_is_not_ready_if_a_table_can_not_be_read() {
    let embedded = EmbeddedDynamoDb::start().await.unwrap();
    let status = async |config: &StoreConfig| {
        let client = embedded.client.clone();
        let tasks = DynamoDbTaskStore::new(client.clone(), config);
        let projects = DynamoDbProjectStore::new(client, config);
        let harness = Harness::with_stores(Arc::new(tasks), Arc::new(projects));
        harness.get("/ready").await.status
    };
    assert_eq!(status(&embedded.config).await, StatusCode::OK);
    let mut without_tasks = embedded.config.clone();
    without_tasks.tasks_table = "elsewhere".to_owned();
    let mut without_projects = embedded.config.clone();
    without_projects.projects_table = "elsewhere".to_owned();
    for config in [without_tasks, without_projects] {
        assert_eq!(status(&config).await, StatusCode::SERVICE_UNAVAILABLE);
    }
}

#[tokio::test]
async fn denied_access_is_unavailable() {
    let embedded = EmbeddedDynamoDb::start().await.unwrap();
    let client = shared::aws::local_dynamodb(&embedded.endpoint_url, "another");
    let tasks = DynamoDbTaskStore::new(client, &embedded.config);
    let harness = Harness::with_tasks(Arc::new(tasks), None);
    for path in ["/api/tasks", "/api/tasks/a", "/api/tasks/a/runs"] {
        let response = harness.get(path).await;
        assert_eq!(response.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert_eq!(response.problem(), "unavailable");
    }
    let body = r#"{"task_id":"a","task_name":"A","task_type":"build"}"#;
    let response = harness.post("/api/tasks", body).await;
    assert_eq!(response.problem(), "unavailable");
    assert_eq!(harness.get("/ready").await.problem(), "not-ready");
}
