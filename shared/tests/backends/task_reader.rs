use std::sync::Arc;
use std::time::Duration;

use shared::cache::{Answer, CacheKey, TaskCache};
use shared::model::{
    Metrics, Progress, Project, ProjectStatus, Revision, Task, TaskStatus, TaskType,
};
use shared::model::{RecordId, RunId, Timestamp};
use shared::record::TaskChange;
use shared::store::{ProjectStore, TaskQuery, TaskStore};
use testkit::cache::memory::InMemoryTaskCache;
use testkit::faults::{Disturbance, ErrorKind, Fault, Faults, Faulty};
use testkit::store::conformance::{change_of, deletion_of, save};
use testkit::store::memory::InMemoryStore;

use shared::task_reader::{
    ConditionalRead, ListRequest, TaskReader, WriteThrough, canonical_query,
};
use shared::validator::Validator;
use shared::view::Renderer;
use tokio::time::{Instant, advance};

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
        agent: None,
        run: updated_at,
        is_earlier: false,
        corrections: 0,
        is_assumed: false,
        context: None,
        revision: Revision(1),
        project_id: None,
        message: None,
        failure: None,
        phase: None,
        current_step: None,
        log_group: None,
        log_stream: None,
        created_at: updated_at,
        started_at: None,
        updated_at,
        completed_at: None,
        duration_ms: None,
        usual_duration_ms: None,
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
        revision: Revision(1),
        metrics: Metrics::default(),
        created_at: at(0),
        updated_at: at(0),
    }
}

const SECOND: Duration = Duration::from_secs(1);

struct Fixture {
    store: Arc<InMemoryStore>,
    store_faults: Faults,
    cache: Arc<InMemoryTaskCache>,
    cache_faults: Faults,
    reader: TaskReader,
    write_through: WriteThrough,
}

impl Fixture {
    fn new() -> Self {
        let (store, cache) = (
            Arc::new(InMemoryStore::new()),
            Arc::new(InMemoryTaskCache::new()),
        );
        let (store_faults, cache_faults) = (Faults::none(), Faults::none());
        let faulty_store = Arc::new(Faulty::new(store.clone(), store_faults.clone()));
        let faulty_cache: Arc<dyn TaskCache> =
            Arc::new(Faulty::new(cache.clone(), cache_faults.clone()));
        let renderer = Renderer::new(STALE_AFTER);
        let projects = faulty_store.clone();
        let cached = Some(faulty_cache.clone());
        Self {
            reader: TaskReader::new(faulty_store, projects, cached, renderer),
            write_through: WriteThrough::new(Some(faulty_cache), renderer),
            store,
            store_faults,
            cache,
            cache_faults,
        }
    }

    /// Saves to the store alone, as if the write-through had failed.
    async fn save(&self, task: &Task) {
        save(&*self.store, None, task).await.unwrap();
    }

    /// Saves the next revision of `task` to the store alone.
    async fn save_next(&self, task: &Task) -> Task {
        let next = Task {
            revision: task.revision.next(),
            ..task.clone()
        };
        save(&*self.store, Some(task), &next).await.unwrap();
        next
    }

    /// Tells the cache about a change that was just saved.
    async fn saved(&self, change: &TaskChange) {
        let now = Instant::now();
        let failures = self.write_through.saved(&[change], now, at(1)).await;
        assert_eq!(failures, 0);
    }

    /// Puts an answer about a task into the cache.
    async fn put(&self, id: &str, answer: &Answer) {
        let put = self.cache.put(&key(id), answer, Duration::ZERO).await;
        put.unwrap();
    }

    /// From now on the store can't be reached.
    fn stop_store(&self) {
        self.store_faults.fail_always(FAILURE);
    }

    async fn list(&self, limit: usize, now: Timestamp) -> serde_json::Value {
        match self.list_unless(&[], limit, now).await {
            ConditionalRead::Current(page) => serde_json::from_slice(&page.json).unwrap(),
            unchanged => panic!("{unchanged:?}"),
        }
    }

    async fn list_unless(
        &self,
        known: &[Validator],
        limit: usize,
        now: Timestamp,
    ) -> ConditionalRead {
        let request = ListRequest {
            query: TaskQuery::default(),
            after: None,
            limit,
        };
        let cursor = |at: &RunId| at.task_id.to_string();
        let reading = self.reader.list_tasks(&request, cursor, known, now);
        reading.await.unwrap()
    }

    /// The body that the cache holds under the key of a task.
    fn held(&self, id: &str) -> Option<Vec<u8>> {
        self.cache.held(&key(id)).map(|held| held.body.unwrap())
    }

    /// The body of a task.
    async fn read(&self, id: &str, now: Timestamp) -> Option<Vec<u8>> {
        let reading = self.reader.fetch_task(&id.parse().unwrap(), &[], now).await;
        let reading = reading.unwrap()?;
        Some(reading.current().unwrap().json)
    }

    /// The revision of a task that a client with these copies is shown.
    async fn revision(&self, id: &str, known: &[Validator]) -> Option<u64> {
        let reading = self
            .reader
            .fetch_task(&id.parse().unwrap(), known, at(1))
            .await;
        let validator = match reading.unwrap()? {
            ConditionalRead::Current(representation) => representation.validator,
            ConditionalRead::NotModified(validator) => validator,
        };
        validator.revision().map(|revision| revision.0)
    }
}

const FAILURE: Fault = Fault::Error(ErrorKind::Unavailable);

fn key(id: &str) -> CacheKey {
    CacheKey::Run(id.parse().unwrap())
}

/// A validator of this revision.
fn copy_of(revision: u64) -> Validator {
    Validator::of_revision(Revision(revision), b"x")
}

fn id(text: &str) -> RecordId {
    text.parse().unwrap()
}

#[test]
fn equal_queries_have_equal_texts() {
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
async fn a_task_is_read_from_the_store_once_and_then_from_the_cache() {
    let fixture = Fixture::new();
    fixture.save(&task("a", TaskStatus::Running, at(0))).await;
    let read = fixture.read("a", at(1)).await.unwrap();
    assert_eq!(fixture.held("a").as_ref(), Some(&read));
    let shown: serde_json::Value = serde_json::from_slice(&read).unwrap();
    assert_eq!(shown["stale"], false);
    assert_eq!(shown["progress"]["total"], serde_json::Value::Null);
    fixture.stop_store();
    assert_eq!(fixture.read("a", at(1)).await, Some(read));
}

#[tokio::test(start_paused = true)]
async fn a_task_is_fresh_for_five_seconds_and_an_ended_one_for_a_minute() {
    for (status, seconds) in [
        (TaskStatus::Pending, 5),
        (TaskStatus::Running, 5),
        (TaskStatus::Blocked, 5),
        (TaskStatus::Completed, 60),
        (TaskStatus::Failed, 60),
        (TaskStatus::Cancelled, 60),
    ] {
        let fixture = Fixture::new();
        let old = task("a", status, at(0));
        fixture.save(&old).await;
        assert_eq!(fixture.revision("a", &[]).await, Some(1));
        fixture.save_next(&old).await;
        advance(SECOND * seconds - Duration::from_millis(1)).await;
        assert_eq!(fixture.revision("a", &[]).await, Some(1), "{status}");
        advance(Duration::from_millis(1)).await;
        assert_eq!(fixture.revision("a", &[]).await, Some(2), "{status}");
    }
}

/// A slow call of the store may have read its answer at its beginning.
#[tokio::test(start_paused = true)]
async fn an_answer_is_as_old_as_the_beginning_of_its_reading() {
    let fixture = Fixture::new();
    let old = task("a", TaskStatus::Running, at(0));
    fixture.save(&old).await;
    fixture.store_faults.disturb(|_| Disturbance {
        after: SECOND * 4,
        ..Disturbance::default()
    });
    assert_eq!(fixture.revision("a", &[]).await, Some(1));
    fixture.store_faults.clear();
    fixture.save_next(&old).await;
    advance(SECOND).await;
    assert_eq!(fixture.revision("a", &[]).await, Some(2));
    // So is a written one.
    let change = change_of(None, &task("b", TaskStatus::Running, at(0)));
    let begun = Instant::now();
    advance(SECOND * 7).await;
    fixture.write_through.saved(&[&change], begun, at(7)).await;
    assert_eq!(fixture.cache.held(&key("b")).unwrap().age, SECOND * 7);
}

#[tokio::test]
async fn an_invalid_answer_in_the_cache_is_replaced() {
    let fixture = Fixture::new();
    fixture.save(&task("a", TaskStatus::Running, at(0))).await;
    for body in [&b""[..], b"null", b"\xff\xfe", b"{\"task_id\":\"b\"}"] {
        let invalid = Answer {
            version: u64::MAX,
            fresh_for: STALE_AFTER,
            validator: copy_of(9),
            body: body.to_vec(),
        };
        fixture.put("a", &invalid).await;
        let read = fixture.read("a", at(1)).await.unwrap();
        assert!(read.starts_with(br#"{"task_id":"a","#));
        assert_eq!(fixture.held("a"), Some(read));
    }
}

#[tokio::test]
async fn a_client_never_gets_an_older_revision_than_it_has() {
    let fixture = Fixture::new();
    let old = task("a", TaskStatus::Running, at(0));
    fixture.save(&old).await;
    fixture.read("a", at(1)).await.unwrap();
    fixture.save_next(&old).await; // the cache keeps the old revision
    assert_eq!(fixture.revision("a", &[]).await, Some(1));
    let page = Validator::of_bytes(b"x");
    assert_eq!(fixture.revision("a", &[page]).await, Some(1));
    assert_eq!(fixture.revision("a", &[copy_of(1)]).await, Some(1));
    let both = [copy_of(1), copy_of(2)];
    assert_eq!(fixture.revision("a", &both).await, Some(2));
    let shown = fixture.revision("a", &[]).await;
    assert_eq!(shown, Some(2), "the cache has the new revision");
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_shown_however_old_while_the_store_is_down() {
    let fixture = Fixture::new();
    let saved = task("a", TaskStatus::Running, at(0));
    fixture.save(&saved).await;
    let (shown, page) = (fixture.read("a", at(1)).await, fixture.list(5, at(1)).await);
    fixture.stop_store();
    advance(SECOND * 3_500).await;
    assert_eq!(fixture.read("a", at(1)).await, shown);
    assert_eq!(fixture.list(5, at(1)).await, page);
    // A client with a later revision keeps it.
    assert_eq!(fixture.revision("a", &[copy_of(2)]).await, Some(2));
    let missing = fixture.reader.fetch_task(&id("b"), &[], at(1)).await;
    missing.unwrap_err();
    advance(SECOND * 100).await;
    let expired = fixture.reader.fetch_task(&id("a"), &[], at(1)).await;
    expired.unwrap_err();
}

#[tokio::test]
async fn a_client_that_has_the_held_answer_is_not_sent_it_again() {
    let fixture = Fixture::new();
    fixture.save(&task("a", TaskStatus::Running, at(0))).await;
    fixture.read("a", at(1)).await.unwrap();
    let known = [fixture.cache.held(&key("a")).unwrap().validator];
    let reading = fixture.reader.fetch_task(&id("a"), &known, at(1)).await;
    let unchanged = ConditionalRead::NotModified(known[0].clone());
    assert_eq!(reading.unwrap(), Some(unchanged));
}

#[tokio::test]
async fn a_cache_that_fails_changes_no_answer() {
    let fixture = Fixture::new();
    fixture.save(&task("a", TaskStatus::Running, at(0))).await;
    fixture.cache_faults.fail_always(FAILURE);
    for _ in 0..5 {
        assert_eq!(fixture.revision("a", &[]).await, Some(1));
        let page = fixture.list(5, at(1)).await;
        assert_eq!(page["tasks"][0]["task_id"], "a");
    }
    assert_eq!(fixture.held("a"), None);
}

#[tokio::test(start_paused = true)]
async fn a_page_is_fresh_for_five_seconds_and_after_a_write_for_one() {
    let fixture = Fixture::new();
    let count = async || {
        let page = fixture.list(5, at(1)).await;
        page["tasks"].as_array().unwrap().len()
    };
    fixture.save(&task("a", TaskStatus::Pending, at(0))).await;
    assert_eq!(count().await, 1);
    fixture.save(&task("b", TaskStatus::Pending, at(0))).await;
    advance(SECOND * 4).await;
    assert_eq!(count().await, 1, "nothing was announced");
    advance(SECOND).await;
    assert_eq!(count().await, 2);
    let next = task("c", TaskStatus::Pending, at(0));
    fixture.save(&next).await;
    let change = change_of(None, &next);
    fixture.saved(&change).await;
    assert!(fixture.held("c").is_some());
    advance(Duration::from_millis(999)).await;
    assert_eq!(count().await, 2);
    advance(Duration::from_millis(1)).await;
    assert_eq!(count().await, 3);
}

#[tokio::test]
async fn only_a_page_with_a_next_page_has_a_cursor() {
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

#[tokio::test(start_paused = true)]
async fn a_project_is_fresh_for_a_second_after_the_write_of_a_task() {
    let fixture = Fixture::new();
    let store = &*fixture.store;
    ProjectStore::create(store, &project("alpha"))
        .await
        .unwrap();
    let alpha = "alpha".parse().unwrap();
    let total = async || {
        let read = fixture.reader.fetch_project(&alpha).await;
        let representation = read.unwrap().unwrap();
        let project: serde_json::Value = serde_json::from_slice(&representation.json).unwrap();
        project["metrics"]["total_tasks"].clone()
    };
    assert_eq!(total().await, 0);
    let next = Task {
        project_id: Some(alpha.clone()),
        ..task("a", TaskStatus::Running, at(0))
    };
    fixture.save(&next).await;
    advance(SECOND).await;
    assert_eq!(total().await, 0, "the project is cached");
    let change = change_of(None, &next);
    fixture.saved(&change).await;
    assert_eq!(total().await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_does_not_put_a_deleted_task_back() {
    let fixture = Fixture::new();
    let deleted = task("a", TaskStatus::Completed, at(0));
    fixture.save(&deleted).await;
    fixture.read("a", at(1)).await.unwrap();
    let deletion = deletion_of(&deleted);
    fixture.store.save(&deletion).await.unwrap();
    // This reader read the task before.
    let slow = Answer {
        version: deleted.revision.0,
        fresh_for: STALE_AFTER,
        validator: copy_of(deleted.revision.0),
        body: Renderer::new(STALE_AFTER).task(&deleted, at(1)),
    };
    fixture.saved(&deletion).await;
    fixture.put("a", &slow).await;
    assert_eq!(fixture.read("a", at(1)).await, None);
    assert_eq!(fixture.revision("a", &[copy_of(1)]).await, None);
    advance(SECOND * 5).await;
    assert_eq!(fixture.read("a", at(1)).await, None);
}
