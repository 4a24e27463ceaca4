//! The read path and the write-through, with a real Redis and an embedded DynamoDB.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use shared::cache::{CacheKey, TaskCache};
use shared::model::{RunId, Task, Timestamp};
use shared::store::TaskQuery;
use shared::task_reader::{ConditionalRead, ListRequest, TaskReader, WriteThrough};
use shared::validator::Validator;
use shared::view::Renderer;
use tokio::time::Instant;

use testkit::embedded_dynamodb::EmbeddedDynamoDb;
use testkit::embedded_dynamodb::Stores;
use testkit::store::conformance::{change_of, save};

use crate::redis_server::RedisServer;

fn task(id: &str, revision: u64, now: Timestamp) -> Task {
    let task = json!({
        "task_id": id, "task_name": "配備 · \"x\"", "task_type": "build", "status": "running",
        "progress": {"current": revision}, "run": now, "revision": revision,
        "created_at": now, "updated_at": now, "metadata": {"a": [1.5, null, {"b": "\u{0}"}]},
    });
    serde_json::from_value(task).unwrap()
}

/// The read path and the write path over the same stores and cache.
struct Paths {
    stores: Stores,
    reader: TaskReader,
    write_through: WriteThrough,
}

impl Paths {
    fn of(stores: Stores, cache: Arc<dyn TaskCache>) -> Self {
        let renderer = Renderer::new(Duration::from_secs(900));
        let (tasks, projects) = (stores.tasks.clone(), stores.projects.clone());
        Self {
            reader: TaskReader::new(tasks, projects, Some(cache.clone()), renderer),
            write_through: WriteThrough::new(Some(cache), renderer),
            stores,
        }
    }

    async fn save(&self, previous: Option<&Task>, next: &Task) {
        let change = change_of(previous, next);
        let begun = Instant::now();
        self.stores.tasks.save(&change).await.unwrap();
        let (changes, now) = ([&change], next.updated_at);
        let failures = self.write_through.saved(&changes, begun, now).await;
        assert_eq!(failures, 0);
    }

    async fn show(&self, id: &str, now: Timestamp) -> Value {
        let read = self.reader.fetch_task(&id.parse().unwrap(), &[], now).await;
        let task = read.unwrap().unwrap().current().unwrap();
        serde_json::from_slice(&task.json).unwrap()
    }

    async fn list_unless(&self, known: &[Validator], now: Timestamp) -> ConditionalRead {
        let request = ListRequest {
            query: TaskQuery::default(),
            after: None,
            limit: 2,
        };
        let cursor = |last: &RunId| last.task_id.to_string();
        let reading = self.reader.list_tasks(&request, cursor, known, now);
        reading.await.unwrap()
    }

    async fn list(&self, now: Timestamp) -> Value {
        let ConditionalRead::Current(page) = self.list_unless(&[], now).await else {
            panic!("no validator was known");
        };
        serde_json::from_slice(&page.json).unwrap()
    }
}

#[tokio::test]
async fn a_written_task_is_readable_without_the_store() {
    let database = EmbeddedDynamoDb::start().await.unwrap();
    let (cache, _server) = RedisServer::start_with_cache().await;
    let paths = Paths::of(database.stores(), Arc::new(cache));
    let now = Timestamp::now();

    let first = task("a", 1, now);
    paths.save(None, &first).await;
    assert_eq!(paths.show("a", now).await["progress"]["current"], 1);
    let next = task("a", 2, now);
    paths.save(Some(&first), &next).await;
    paths.save(None, &task("b", 1, now)).await;
    paths.save(None, &task("c", 1, now)).await;

    let page = paths.list(now).await;
    let tasks = page["tasks"].as_array().unwrap();
    assert_eq!(tasks.len(), 2);
    assert_eq!(page["next_cursor"], tasks[1]["task_id"]);
    let mut expected = serde_json::to_value(&next).unwrap();
    expected["run_id"] = next.run_id().to_string().into();
    expected["stale"] = false.into();
    assert_eq!(paths.show("a", now).await, expected);

    let _database = database.stop().await;
    assert_eq!(paths.show("a", now).await, expected);
    let missed = paths
        .reader
        .fetch_task(&"d".parse().unwrap(), &[], now)
        .await;
    assert!(missed.is_err());
}

#[tokio::test]
async fn an_invalid_value_in_redis_is_replaced() {
    let database = EmbeddedDynamoDb::start().await.unwrap();
    let (cache, server) = RedisServer::start_with_cache().await;
    let cache: Arc<dyn TaskCache> = Arc::new(cache);
    let paths = Paths::of(database.stores(), cache.clone());
    let now = Timestamp::now();
    let saved = task("a", 1, now);
    save(&*paths.stores.tasks, None, &saved).await.unwrap();
    let fresh = now.as_millis();
    for invalid in [
        String::new(),
        "{\"revision\":9}".to_owned(),
        "9 9 9 9".to_owned(),
        // Its validator is not that of its body.
        format!("{fresh} 60000 9 9-0123456789abcdef\n{{}}"),
        format!("{fresh} 60000 9000000000000000 9-0123456789abcdef\n"),
    ] {
        server.run::<()>(&["SET", "run:a", &invalid]).await;
        assert_eq!(paths.show("a", now).await["task_name"], saved.task_name);
        let key = CacheKey::Run(saved.record_id());
        let held = cache.fetch(&key, &[]).await.unwrap().held.unwrap();
        assert_eq!(held.version, saved.revision.0, "{invalid}");
    }
}

#[tokio::test]
async fn what_a_client_has_is_confirmed_without_the_store() {
    let database = EmbeddedDynamoDb::start().await.unwrap();
    let (cache, _server) = RedisServer::start_with_cache().await;
    let paths = Paths::of(database.stores(), Arc::new(cache));
    let now = Timestamp::now();
    paths.save(None, &task("a", 1, now)).await;
    let ConditionalRead::Current(page) = paths.list_unless(&[], now).await else {
        panic!("no validator was known");
    };
    let _database = database.stop().await;
    let known = [page.validator.clone()];
    let unchanged = ConditionalRead::NotModified(page.validator);
    assert_eq!(paths.list_unless(&known, now).await, unchanged);
}
