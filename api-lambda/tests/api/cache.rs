use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::json;
use shared::cache::{Answer, CacheKey, TaskCache};
use testkit::cache::conformance::run_answer;
use testkit::cache::memory::InMemoryTaskCache;
use testkit::store::memory::InMemoryStore;
use tokio::time::advance;

use crate::harness::{Harness, change, failing_cache, failing_store, ids, task};

/// The responses to reads of all resources.
async fn read_all(harness: &Harness) -> Vec<serde_json::Value> {
    let mut responses = Vec::new();
    for path in [
        "/api/tasks",
        "/api/tasks?limit=2",
        "/api/tasks/a",
        "/api/tasks/a/history",
        "/api/projects",
        "/api/projects/alpha",
        "/api/projects/alpha/tasks",
    ] {
        responses.push(harness.read(path).await);
    }
    responses
}

async fn fill(harness: &Harness) {
    for (number, id) in ["a", "b", "c"].into_iter().enumerate() {
        let mut next = task(id, i64::try_from(number).unwrap());
        next.project_id = Some("alpha".parse().unwrap());
        harness.save(&next).await;
    }
    let project = json!({
        "project_id": "alpha", "project_name": "Alpha", "status": "active", "metrics": {
            "total_tasks": 0, "pending": 0, "running": 0, "blocked": 0, "completed": 0,
            "failed": 0, "cancelled": 0, "ended": 0, "success_rate": null, "avg_duration_ms": null,
        },
        "created_at": "2026-11-21T09:30:00.000Z", "updated_at": "2026-11-21T09:30:00.000Z",
    });
    let project = serde_json::from_value(project).unwrap();
    shared::store::ProjectStore::create(&*harness.store, &project)
        .await
        .unwrap();
}

#[tokio::test]
async fn responses_are_the_same_with_any_cache() {
    let caches: [Option<Arc<dyn TaskCache>>; 3] = [
        None,
        Some(Arc::new(InMemoryTaskCache::new())),
        Some(failing_cache()),
    ];
    let mut all = Vec::new();
    for cache in caches {
        let harness = Harness::with_cache(cache);
        fill(&harness).await;
        all.push(read_all(&harness).await);
        all.push(read_all(&harness).await); // from the cache, if there is one
    }
    assert_eq!(ids(&all[0][0]), ["c", "b", "a"]);
    assert!(all.iter().all(|responses| *responses == all[0]));
}

#[tokio::test]
async fn a_write_succeeds_while_the_cache_is_down() {
    let harness = Harness::with_cache(Some(failing_cache()));
    let task = json!({"task_id": "a", "task_name": "x", "task_type": "build", "project_id": "p"});
    harness.make("/api/tasks", task).await;
    harness
        .make(
            "/api/projects",
            json!({"project_id": "p", "project_name": "P"}),
        )
        .await;
    assert_eq!(ids(&harness.read("/api/tasks").await), ["a"]);
    assert_eq!(
        harness.read("/api/projects/p").await["metrics"]["total_tasks"],
        1
    );
}

#[tokio::test(start_paused = true)]
async fn a_new_task_is_in_every_list_within_a_second() {
    let harness = Harness::new();
    for number in 0..5 {
        let body = json!({"task_id": format!("t{number}"), "task_name": "x", "task_type": "build"});
        harness.make("/api/tasks", body).await;
        advance(Duration::from_secs(1)).await;
        let page = harness.read("/api/tasks").await;
        assert_eq!(page["tasks"].as_array().unwrap().len(), number + 1);
    }
}

#[tokio::test]
async fn a_cached_answer_is_sent_unchanged() {
    let cache = Arc::new(InMemoryTaskCache::new());
    let harness = Harness::with_cache(Some(cache.clone()));
    let answer = run_answer(1);
    let key = CacheKey::Run("a".parse().unwrap());
    cache.put(&key, &answer, Duration::ZERO).await.unwrap();
    let response = harness.get("/api/tasks/a").await;
    assert_eq!(response.body, answer.body);
    let etag = format!("\"{}\"", answer.validator);
    assert_eq!(response.headers["etag"], etag.as_str());
}

#[tokio::test]
async fn cached_tasks_are_served_while_the_store_is_down() {
    let cache: Arc<dyn TaskCache> = Arc::new(InMemoryTaskCache::new());
    let harness = Harness::with_cache(Some(cache.clone()));
    harness.save(&task("a", 1)).await;
    harness.read("/api/tasks/a").await;
    harness.read("/api/tasks").await;
    let down = Harness::with_tasks(failing_store(), Some(cache));
    assert_eq!(down.read("/api/tasks/a").await["task_id"], "a");
    assert_eq!(ids(&down.read("/api/tasks").await), ["a"]);
    let missed = down.get("/api/tasks/b").await;
    assert_eq!(missed.status, StatusCode::SERVICE_UNAVAILABLE);
}

/// The first attempt writes to the store but not to the cache.
#[tokio::test(start_paused = true)]
async fn a_write_that_the_cache_missed_is_shown_within_five_seconds() {
    let harness = Harness::new();
    let body = json!({"task_id": "a", "task_name": "x", "task_type": "build"});
    let create = || {
        let request = Request::post("/api/tasks").header("content-type", "application/json");
        let request = request.header("idempotency-key", "the-same-each-time");
        request.body(Body::from(body.to_string())).unwrap()
    };
    let change = || {
        let request = Request::patch("/api/tasks/a").header("content-type", "application/json");
        request.body(Body::from(r#"{"message":"new"}"#)).unwrap()
    };
    let without_cache = Harness::with_tasks(harness.store.clone(), None);
    assert_eq!(ids(&harness.read("/api/tasks").await), [""; 0]);
    let created = without_cache.send(create()).await;
    assert_eq!(created.status, StatusCode::CREATED);
    assert_eq!(ids(&harness.read("/api/tasks").await), [""; 0], "cached");
    advance(Duration::from_secs(5)).await;
    assert_eq!(ids(&harness.read("/api/tasks").await), ["a"]);
    let repeated = harness.send(create()).await;
    assert_eq!(repeated.body, created.body);

    harness.read("/api/tasks/a").await;
    assert_eq!(without_cache.send(change()).await.status, StatusCode::OK);
    let cached = harness.read("/api/tasks/a").await;
    assert_eq!(cached["message"], serde_json::Value::Null);
    advance(Duration::from_secs(5)).await;
    assert_eq!(harness.read("/api/tasks/a").await["message"], "new");
    let page = harness.read("/api/tasks").await;
    assert_eq!(page["tasks"][0]["message"], "new");
}

#[tokio::test]
async fn an_invalid_cache_entry_is_not_served() {
    let cache = Arc::new(InMemoryTaskCache::new());
    let store = Arc::new(InMemoryStore::new());
    let harness = Harness::with_tasks(store.clone(), Some(cache.clone()));
    let key = CacheKey::Run("a".parse().unwrap());
    let invalid = Answer {
        body: b"<invalid>".to_vec(),
        ..run_answer(9)
    };
    cache.put(&key, &invalid, Duration::ZERO).await.unwrap();
    let saved = change(None, &task("a", 1));
    shared::store::TaskStore::save(&*store, &saved)
        .await
        .unwrap();
    assert_eq!(harness.read("/api/tasks/a").await["task_name"], "Task a");
}
