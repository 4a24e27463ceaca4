use std::sync::Arc;
use std::time::Duration;

use crate::cache::TaskCache;
use crate::cache::memory::InMemoryTaskCache;
use crate::model::{
    Metrics, Progress, Project, ProjectStatus, Revision, Task, TaskStatus, TaskType,
};
use crate::model::{TaskId, Timestamp};
use crate::store::memory::InMemoryStore;
use crate::store::{ListPosition, ProjectStore, TaskQuery, TaskStore};

use super::{
    ListRequest, Renderer, SavedTask, TaskReader, WriteThrough, canonical_query, look_ahead,
};

const STALE_AFTER: Duration = Duration::from_secs(900);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + seconds * 1000)
}

fn task(id: &str, status: TaskStatus, updated_at: Timestamp) -> Task {
    Task {
        task_id: id.parse().unwrap(),
        task_name: format!("Task {id}"),
        task_type: TaskType::Build,
        status,
        priority: None,
        progress: Progress::default(),
        parts: Default::default(),
        run: updated_at.to_string(),
        revision: Revision(1),
        project_id: None,
        message: None,
        phase: None,
        current_step: None,
        log_group: None,
        log_stream: None,
        created_at: updated_at,
        started_at: None,
        updated_at,
        completed_at: None,
        duration_ms: None,
        metadata: None,
    }
}

fn project(id: &str) -> Project {
    Project {
        project_id: id.parse().unwrap(),
        project_name: id.to_owned(),
        description: None,
        status: ProjectStatus::Active,
        owner: None,
        match_prefixes: Vec::new(),
        metrics: Metrics::default(),
        created_at: at(0),
        updated_at: at(0),
    }
}

struct Fixture {
    store: Arc<InMemoryStore>,
    cache: Arc<InMemoryTaskCache>,
    reader: TaskReader,
    write_through: WriteThrough,
}

impl Fixture {
    fn new() -> Self {
        let store = Arc::new(InMemoryStore::new());
        let cache = Arc::new(InMemoryTaskCache::new());
        let renderer = Renderer::new(STALE_AFTER);
        Self {
            reader: TaskReader::new(store.clone(), store.clone(), Some(cache.clone()), renderer),
            write_through: WriteThrough::new(Some(cache.clone()), renderer),
            store,
            cache,
        }
    }

    /// Saves to the store alone, as if the cache had not been told.
    async fn save(&self, task: &Task) {
        self.store.save(None, task, None).await.unwrap();
    }

    async fn list(&self, limit: usize, now: Timestamp) -> serde_json::Value {
        let request = ListRequest {
            query: TaskQuery::default(),
            after: None,
            limit,
        };
        let cursor = |at: &ListPosition| at.task_id.to_string();
        let bytes = self.reader.list_tasks(&request, cursor, now).await;
        serde_json::from_slice(&bytes.unwrap()).unwrap()
    }
}

fn id(text: &str) -> TaskId {
    text.parse().unwrap()
}

#[test]
fn no_bytes_outlive_the_moment_a_task_turns_stale() {
    let renderer = Renderer::new(STALE_AFTER);
    let ttl = |status, silent| {
        renderer
            .cache_ttl(&task("a", status, at(0)), at(silent))
            .as_secs()
    };
    assert_eq!(ttl(TaskStatus::Completed, 5000), 3600);
    assert_eq!(ttl(TaskStatus::Pending, 5000), 60);
    assert_eq!(ttl(TaskStatus::Running, 0), 60);
    assert_eq!(ttl(TaskStatus::Running, 870), 30);
    assert_eq!(ttl(TaskStatus::Running, 900), 1);
    assert_eq!(ttl(TaskStatus::Running, 901), 60);
    assert_eq!(ttl(TaskStatus::Running, -500), 60);
}

#[test]
fn a_store_is_never_asked_for_more_than_it_lists() {
    assert_eq!([1, 199, 200].map(look_ahead), [2, 200, 200]);
}

#[test]
fn a_query_has_one_text() {
    let query = |statuses: &[TaskStatus]| TaskQuery {
        statuses: statuses.to_vec(),
        ..TaskQuery::default()
    };
    let (one, other) = (TaskStatus::Running, TaskStatus::Failed);
    let expected = "tasks?status=failed,running&task_type=&project_id=";
    assert_eq!(canonical_query(&query(&[one, other, one])), expected);
    assert_eq!(canonical_query(&query(&[other, one])), expected);
}

#[tokio::test]
async fn a_task_is_read_once_and_then_comes_from_the_cache() {
    let fixture = Fixture::new();
    fixture.save(&task("a", TaskStatus::Running, at(0))).await;
    let read = fixture
        .reader
        .fetch_task(&id("a"), at(1))
        .await
        .unwrap()
        .unwrap();
    let held = fixture.cache.fetch_task(&id("a")).await.unwrap();
    assert_eq!(held.as_ref(), Some(&read));
    let shown: serde_json::Value = serde_json::from_slice(&read).unwrap();
    assert_eq!(shown["stale"], false);
    assert_eq!(shown["progress"]["total"], serde_json::Value::Null);
    let again = fixture.reader.fetch_task(&id("a"), at(1)).await.unwrap();
    assert_eq!(again, Some(read));
}

#[tokio::test]
async fn rubbish_in_the_cache_is_replaced() {
    let fixture = Fixture::new();
    fixture.save(&task("a", TaskStatus::Running, at(0))).await;
    let other = Renderer::new(STALE_AFTER).task(&task("b", TaskStatus::Failed, at(0)), at(0));
    for rubbish in [
        b"".as_slice(),
        b"null",
        b"\xff\xfe",
        b"{\"task_id\":\"a\",",
        &other,
    ] {
        let cache = &fixture.cache;
        cache
            .put_task(&id("a"), Revision(9), rubbish, STALE_AFTER)
            .await
            .unwrap();
        let read = fixture
            .reader
            .fetch_task(&id("a"), at(1))
            .await
            .unwrap()
            .unwrap();
        assert!(read.starts_with(br#"{"task_id":"a","#));
        assert_eq!(
            fixture.cache.fetch_task(&id("a")).await.unwrap(),
            Some(read)
        );
    }
}

#[tokio::test]
async fn a_page_is_kept_until_a_write_is_told() {
    let fixture = Fixture::new();
    fixture.save(&task("a", TaskStatus::Pending, at(0))).await;
    assert_eq!(fixture.list(5, at(1)).await["tasks"][0]["task_id"], "a");
    let next = task("b", TaskStatus::Pending, at(2));
    fixture.save(&next).await;
    let held = fixture.list(5, at(3)).await;
    assert_eq!(
        held["tasks"].as_array().unwrap().len(),
        1,
        "the page is cached"
    );
    let saved = SavedTask {
        previous: None,
        next: &next,
    };
    assert_eq!(fixture.write_through.tasks_saved(&[saved], at(3)).await, 0);
    let fresh = fixture.list(5, at(3)).await;
    assert_eq!(fresh["tasks"][0]["task_id"], "b");
    assert_eq!(fresh["tasks"].as_array().unwrap().len(), 2);
    assert!(fixture.cache.fetch_task(&id("b")).await.unwrap().is_some());
}

#[tokio::test]
async fn a_page_that_would_soon_be_wrong_is_not_kept() {
    let fixture = Fixture::new();
    fixture.save(&task("a", TaskStatus::Running, at(0))).await;
    assert_eq!(fixture.list(5, at(880)).await["tasks"][0]["stale"], false);
    assert_eq!(fixture.list(5, at(901)).await["tasks"][0]["stale"], true);
}

#[tokio::test]
async fn a_next_page_is_named_only_if_there_is_one() {
    let fixture = Fixture::new();
    for number in 0..4 {
        let id = format!("t{number}");
        fixture
            .save(&task(&id, TaskStatus::Pending, at(number)))
            .await;
    }
    assert_eq!(fixture.list(3, at(9)).await["next_cursor"], "t1");
    assert_eq!(
        fixture.list(4, at(9)).await["next_cursor"],
        serde_json::Value::Null
    );
    assert_eq!(fixture.list(0, at(9)).await["next_cursor"], "t3");
}

#[tokio::test]
async fn a_write_forgets_the_projects_whose_metrics_it_changes() {
    let fixture = Fixture::new();
    fixture.store.create(&project("alpha")).await.unwrap();
    let alpha = "alpha".parse().unwrap();
    let total = async || {
        let bytes = fixture.reader.fetch_project(&alpha).await.unwrap().unwrap();
        let project: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        project["metrics"]["total_tasks"].clone()
    };
    assert_eq!(total().await, 0);
    let next = Task {
        project_id: Some(alpha.clone()),
        ..task("a", TaskStatus::Running, at(0))
    };
    fixture.save(&next).await;
    assert_eq!(total().await, 0, "the project is cached");
    let saved = SavedTask {
        previous: None,
        next: &next,
    };
    fixture.write_through.tasks_saved(&[saved], at(1)).await;
    assert_eq!(total().await, 1);
}
