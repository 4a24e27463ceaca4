use std::sync::Arc;
use std::time::Duration;

use shared::cache::TaskCache;
use shared::cache::cautious::CautiousTaskCache;
use shared::model::{
    Metrics, Progress, Project, ProjectStatus, Revision, Task, TaskStatus, TaskType,
};
use shared::model::{RecordId, RunId, Timestamp};
use shared::store::{ProjectStore, TaskQuery};
use testkit::cache::memory::InMemoryTaskCache;
use testkit::faults::{ErrorKind, Fault, Faults, Faulty};
use testkit::store::conformance::{change_of, deletion_of, save};
use testkit::store::memory::InMemoryStore;

use shared::task_reader::{
    ConditionalRead, ListRequest, TaskReader, Validator, WriteThrough, canonical_query,
};
use shared::view::Renderer;

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
        run: updated_at,
        is_earlier: false,
        corrections: 0,
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

    /// Saves to the store alone, as if the write-through had failed.
    async fn save(&self, task: &Task) {
        save(&*self.store, None, task).await.unwrap();
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

    /// The bytes of a task that the cache holds.
    async fn held(&self, id: &str) -> Option<Vec<u8>> {
        let lookup = self.cache.fetch_task(&id.parse().unwrap()).await;
        lookup.unwrap().into_json()
    }

    /// The body of a task.
    async fn read(&self, id: &str, now: Timestamp) -> Option<Vec<u8>> {
        let reading = self.reader.fetch_task(&id.parse().unwrap(), &[], now).await;
        let reading = reading.unwrap()?;
        Some(reading.current().unwrap().json)
    }
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
    let held = fixture.held("a").await;
    assert_eq!(held.as_ref(), Some(&read));
    let shown: serde_json::Value = serde_json::from_slice(&read).unwrap();
    assert_eq!(shown["stale"], false);
    assert_eq!(shown["progress"]["total"], serde_json::Value::Null);
    assert_eq!(fixture.read("a", at(1)).await, Some(read));
}

#[tokio::test]
async fn an_invalid_value_in_the_cache_is_replaced() {
    let fixture = Fixture::new();
    fixture.save(&task("a", TaskStatus::Running, at(0))).await;
    let other = Renderer::new(STALE_AFTER).task(&task("b", TaskStatus::Failed, at(0)), at(0));
    for invalid in [
        b"".as_slice(),
        b"null",
        b"\xff\xfe",
        b"{\"task_id\":\"a\",",
        &other,
    ] {
        let cache = &fixture.cache;
        cache
            .put_task(&id("a"), Revision(9), invalid, STALE_AFTER)
            .await
            .unwrap();
        let read = fixture.read("a", at(1)).await.unwrap();
        assert!(read.starts_with(br#"{"task_id":"a","#));
        assert_eq!(fixture.held("a").await, Some(read));
    }
}

#[tokio::test]
async fn a_client_never_gets_an_older_revision_than_it_has() {
    let fixture = Fixture::new();
    let old = task("a", TaskStatus::Running, at(0));
    fixture.save(&old).await;
    fixture.read("a", at(1)).await.unwrap();
    let new = Task {
        revision: Revision(2),
        ..old.clone()
    };
    save(&*fixture.store, Some(&old), &new).await.unwrap(); // the cache keeps the old revision
    let read = async |known: &[Validator]| {
        let read = fixture.reader.fetch_task(&id("a"), known, at(2)).await;
        let task = read.unwrap().unwrap().current().unwrap();
        task.validator.revision()
    };
    assert_eq!(read(&[]).await, Some(Revision(1)));
    assert_eq!(read(&[Validator::of_bytes(b"x")]).await, Some(Revision(1)));
    let known = [Validator::of_record(br#"{"x":"","revision":2}"#)];
    assert_eq!(read(&known).await, Some(Revision(2)));
    assert_eq!(
        read(&[]).await,
        Some(Revision(2)),
        "the cache has the new revision"
    );
}

#[tokio::test]
async fn a_page_is_cached_until_the_next_write() {
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
    assert_eq!(
        fixture
            .write_through
            .saved(&[&change_of(None, &next)], at(3))
            .await,
        0
    );
    let fresh = fixture.list(5, at(3)).await;
    assert_eq!(fresh["tasks"][0]["task_id"], "b");
    assert_eq!(fresh["tasks"].as_array().unwrap().len(), 2);
    assert!(fixture.held("b").await.is_some());
}

#[tokio::test]
async fn a_page_that_soon_turns_wrong_is_not_cached() {
    let fixture = Fixture::new();
    fixture.save(&task("a", TaskStatus::Running, at(0))).await;
    assert_eq!(fixture.list(5, at(880)).await["tasks"][0]["stale"], false);
    assert_eq!(fixture.list(5, at(901)).await["tasks"][0]["stale"], true);
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

#[tokio::test]
async fn a_task_write_invalidates_cached_projects() {
    let fixture = Fixture::new();
    let store = &*fixture.store;
    ProjectStore::create(store, &project("alpha"))
        .await
        .unwrap();
    let alpha = "alpha".parse().unwrap();
    let total = async || {
        let read = fixture.reader.fetch_project(&alpha, at(1)).await;
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
    assert_eq!(total().await, 0, "the project is cached");
    let change = change_of(None, &next);
    fixture.write_through.saved(&[&change], at(1)).await;
    assert_eq!(total().await, 1);
}

/// The validator of the first page of the list.
async fn validator_of_list(fixture: &Fixture, now: Timestamp) -> Validator {
    match fixture.list_unless(&[], 5, now).await {
        ConditionalRead::Current(page) => page.validator,
        ConditionalRead::NotModified(validator) => validator,
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_is_known_by_its_generation_until_a_write_or_its_end_of_validity() {
    let fixture = Fixture::new();
    let first = task("a", TaskStatus::Running, at(0));
    fixture.save(&first).await;
    let known = [validator_of_list(&fixture, at(1)).await];
    let unchanged = ConditionalRead::NotModified(known[0].clone());
    // The store is not read, so a task that only the store has does not appear.
    fixture.save(&task("b", TaskStatus::Pending, at(0))).await;
    assert_eq!(fixture.list_unless(&known, 5, at(60)).await, unchanged);
    assert_ne!(fixture.list_unless(&known, 5, at(61)).await, unchanged);
    assert_ne!(fixture.list_unless(&known, 4, at(1)).await, unchanged);
    fixture.cache.bump_generation().await.unwrap();
    assert_ne!(fixture.list_unless(&known, 5, at(2)).await, unchanged);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_may_miss_the_last_write_is_known_by_its_bytes() {
    let fixture = Fixture::new();
    fixture.cache.bump_generation().await.unwrap();
    let known = [validator_of_list(&fixture, at(1)).await];
    let saved = task("a", TaskStatus::Pending, at(0));
    fixture.save(&saved).await;
    tokio::time::advance(Duration::from_secs(2)).await; // the index has it now
    let ConditionalRead::Current(page) = fixture.list_unless(&known, 5, at(3)).await else {
        panic!("the list misses the write");
    };
    assert_ne!(page.validator, known[0]);
    tokio::time::advance(Duration::from_secs(5)).await;
    let settled = [validator_of_list(&fixture, at(10)).await];
    let again = fixture.list_unless(&settled, 5, at(10)).await;
    assert_eq!(again, ConditionalRead::NotModified(settled[0].clone()));
}

#[tokio::test]
async fn a_list_is_modified_once_a_task_turns_stale() {
    let fixture = Fixture::new();
    fixture.save(&task("a", TaskStatus::Running, at(0))).await;
    let known = [validator_of_list(&fixture, at(880)).await];
    let unchanged = ConditionalRead::NotModified(known[0].clone());
    assert_eq!(fixture.list_unless(&known, 5, at(899)).await, unchanged);
    assert_ne!(fixture.list_unless(&known, 5, at(901)).await, unchanged);
}

#[tokio::test]
async fn a_possibly_outdated_task_is_shown_while_the_store_is_down() {
    let (store, cache_faults, store_faults) =
        (InMemoryStore::new(), Faults::none(), Faults::none());
    let saved = task("a", TaskStatus::Running, at(0));
    save(&store, None, &saved).await.unwrap();
    let store = Arc::new(Faulty::new(Arc::new(store), store_faults.clone()));
    let cache = Faulty::new(Arc::new(InMemoryTaskCache::new()), cache_faults.clone());
    let cache = Arc::new(CautiousTaskCache::new(cache));
    let projects = Arc::new(InMemoryStore::new());
    let renderer = Renderer::new(STALE_AFTER);
    let reader = TaskReader::new(store, projects, Some(cache), renderer);
    let shown = reader.fetch_task(&id("a"), &[], at(1)).await.unwrap();
    cache_faults.fail_always(Fault::Error(ErrorKind::Unavailable));
    for _ in 0..5 {
        assert_eq!(
            reader.fetch_task(&id("a"), &[], at(1)).await.unwrap(),
            shown
        );
    }
    cache_faults.clear();
    store_faults.fail_always(Fault::Error(ErrorKind::Unavailable));
    assert_eq!(
        reader.fetch_task(&id("a"), &[], at(1)).await.unwrap(),
        shown
    );
    // A client with a later revision does not get this one.
    let known = [Validator::of_record(br#"{"x":"","revision":2}"#)];
    assert_eq!(
        reader.fetch_task(&id("a"), &known, at(1)).await.unwrap(),
        Some(ConditionalRead::NotModified(known[0].clone()))
    );
    reader.fetch_task(&id("b"), &[], at(1)).await.unwrap_err();
}

#[tokio::test]
async fn a_slow_reader_does_not_put_a_deleted_task_back() {
    let fixture = Fixture::new();
    let deleted = task("a", TaskStatus::Completed, at(0));
    let slow = Renderer::new(STALE_AFTER).task(&deleted, at(1));
    let deletion = deletion_of(&deleted);
    fixture.write_through.saved(&[&deletion], at(1)).await;
    let (cache, id) = (&fixture.cache, id("a"));
    let put = cache.put_task(&id, deleted.revision, &slow, STALE_AFTER);
    put.await.unwrap();
    assert_eq!(fixture.read("a", at(1)).await, None);
    // A task that was created again is read from the store.
    fixture.save(&deleted).await;
    assert!(fixture.read("a", at(1)).await.is_some());
}
