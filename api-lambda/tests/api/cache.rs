use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::json;
use shared::cache::TaskCache;
use shared::model::Revision;
use testkit::cache::memory::InMemoryTaskCache;
use testkit::faults::{ErrorKind, Fault};
use testkit::store::memory::InMemoryStore;

use crate::world::{World, down_cache, down_store, ids, task};

/// All there is to read of a small world.
async fn answers(world: &World) -> Vec<serde_json::Value> {
    let mut answers = Vec::new();
    for path in [
        "/api/tasks",
        "/api/tasks?limit=2",
        "/api/tasks/a",
        "/api/tasks/a/history",
        "/api/projects",
        "/api/projects/alpha",
        "/api/projects/alpha/tasks",
    ] {
        answers.push(world.read(path).await);
    }
    answers
}

async fn fill(world: &World) {
    for (number, id) in ["a", "b", "c"].into_iter().enumerate() {
        let mut next = task(id, i64::try_from(number).unwrap());
        next.project_id = Some("alpha".parse().unwrap());
        world.save(&next).await;
    }
    let project = json!({
        "project_id": "alpha", "project_name": "Alpha", "status": "active", "metrics": {
            "total_tasks": 0, "pending": 0, "running": 0, "blocked": 0, "completed": 0,
            "failed": 0, "cancelled": 0, "success_rate": null, "avg_duration_ms": null,
        },
        "created_at": "2026-11-21T09:30:00.000Z", "updated_at": "2026-11-21T09:30:00.000Z",
    });
    let project = serde_json::from_value(project).unwrap();
    shared::store::ProjectStore::create(&*world.store, &project)
        .await
        .unwrap();
}

#[tokio::test]
async fn answers_are_the_same_with_any_cache() {
    let caches: [Option<Arc<dyn TaskCache>>; 3] = [
        None,
        Some(Arc::new(InMemoryTaskCache::new())),
        Some(down_cache()),
    ];
    let mut all = Vec::new();
    for cache in caches {
        let world = World::with_cache(cache);
        fill(&world).await;
        all.push(answers(&world).await);
        all.push(answers(&world).await); // warm, where there is a cache
    }
    assert_eq!(ids(&all[0][0]), ["c", "b", "a"]);
    assert!(all.iter().all(|answers| *answers == all[0]));
}

#[tokio::test]
async fn a_write_is_made_with_the_cache_down() {
    let world = World::with_cache(Some(down_cache()));
    let task = json!({"task_id": "a", "task_name": "x", "task_type": "build", "project_id": "p"});
    world.make("/api/tasks", task).await;
    world
        .make(
            "/api/projects",
            json!({"project_id": "p", "project_name": "P"}),
        )
        .await;
    assert_eq!(ids(&world.read("/api/tasks").await), ["a"]);
    assert_eq!(
        world.read("/api/projects/p").await["metrics"]["total_tasks"],
        1
    );
}

#[tokio::test]
async fn a_new_task_is_in_the_next_list() {
    let world = World::new();
    for number in 0..5 {
        let body = json!({"task_id": format!("t{number}"), "task_name": "x", "task_type": "build"});
        world.make("/api/tasks", body).await;
        let page = world.read("/api/tasks").await;
        assert_eq!(page["tasks"].as_array().unwrap().len(), number + 1);
    }
}

#[tokio::test]
async fn a_task_is_passed_on_as_bytes() {
    let cache = Arc::new(InMemoryTaskCache::new());
    let world = World::with_cache(Some(cache.clone()));
    let bytes = br#"{"task_id":"a","revision":1,"as":"it is"}"#;
    let id = "a".parse().unwrap();
    let put = cache.put_task(&id, Revision(1), bytes, Duration::from_secs(60));
    put.await.unwrap();
    assert_eq!(world.get("/api/tasks/a").await.body, bytes);
}

#[tokio::test]
async fn cached_answers_outlast_the_store() {
    let cache: Arc<dyn TaskCache> = Arc::new(InMemoryTaskCache::new());
    let world = World::with_cache(Some(cache.clone()));
    world.save(&task("a", 1)).await;
    world.read("/api/tasks/a").await;
    world.read("/api/tasks").await;
    let store = down_store(Fault::Error(ErrorKind::Unavailable));
    let down = World::with_tasks(store, Some(cache));
    assert_eq!(down.read("/api/tasks/a").await["task_id"], "a");
    assert_eq!(ids(&down.read("/api/tasks").await), ["a"]);
    let missed = down.get("/api/tasks/b").await;
    assert_eq!(missed.status, StatusCode::SERVICE_UNAVAILABLE);
}

/// Tries to write again what was written by an attempt of which nobody could know that, the cache neither.
#[tokio::test]
async fn what_is_written_once_more_is_told_to_the_cache() {
    let world = World::new();
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
    let silent = World::with_tasks(world.store.clone(), None);
    assert_eq!(ids(&world.read("/api/tasks").await), [""; 0]);
    assert_eq!(silent.send(create()).await.status, StatusCode::CREATED);
    assert_eq!(ids(&world.read("/api/tasks").await), [""; 0], "cached");
    assert_eq!(world.send(create()).await.status, StatusCode::CREATED);
    assert_eq!(ids(&world.read("/api/tasks").await), ["a"]);

    world.read("/api/tasks/a").await;
    assert_eq!(silent.send(change()).await.status, StatusCode::OK);
    let cached = world.read("/api/tasks/a").await;
    assert_eq!(cached["message"], serde_json::Value::Null);
    assert_eq!(world.send(change()).await.status, StatusCode::OK);
    assert_eq!(world.read("/api/tasks/a").await["message"], "new");
    assert_eq!(world.read("/api/tasks").await["tasks"][0]["message"], "new");
}

#[tokio::test]
async fn rubbish_is_not_passed_on() {
    let cache = Arc::new(InMemoryTaskCache::new());
    let store = Arc::new(InMemoryStore::new());
    let world = World::with_tasks(store.clone(), Some(cache.clone()));
    let id = "a".parse().unwrap();
    let put = cache.put_task(&id, Revision(9), b"<rubbish>", Duration::from_secs(60));
    put.await.unwrap();
    let saved = task("a", 1);
    shared::store::TaskStore::save(&*store, None, &saved, None)
        .await
        .unwrap();
    assert_eq!(world.read("/api/tasks/a").await["task_name"], "Task a");
}
