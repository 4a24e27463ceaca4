//! An API with stores and caches in memory, and helpers to send requests to it.

use std::sync::Arc;
use std::time::Duration;

use api_lambda::{ApiState, Auth, Cors, router};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::Value;
use shared::batch::Batch;
use shared::cache::TaskCache;
use shared::ingest::{Ingest, IngestCounts, Pace};
use shared::log_event::LogEvent;
use shared::log_parser::LogFormat;
use shared::log_source::TailSource;
use shared::model::{Task, Timestamp};
use shared::record::{FactItems, FactsChange, Head, HeadChange, HeadState, TaskChange, TaskRecord};
use shared::store::{ProjectStore, TaskQuery, TaskStore};
use shared::task_reader::WriteThrough;
use shared::view::Renderer;
use testkit::cache::memory::InMemoryTaskCache;
use testkit::faults::{ErrorKind, Fault, Faults, Faulty};
use testkit::store::memory::InMemoryStore;
use tower::ServiceExt as _;

pub(crate) const STALE_AFTER: Duration = Duration::from_secs(900);

/// A response with its complete body.
#[derive(Debug)]
pub(crate) struct ApiResponse {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// Waits until every answer about several tasks is read again. Time must be paused.
pub(crate) async fn a_second() {
    tokio::time::advance(Duration::from_secs(1)).await;
}

impl ApiResponse {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    /// The name of the problem. Checks the members and headers that all problems have.
    pub(crate) fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.header("cache-control"), "no-store");
        let json = self.json();
        assert_eq!(json["status"], self.status.as_u16());
        assert_eq!(json["request_id"], self.header("x-request-id"));
        assert!(json["title"].is_string() && json["detail"].is_string());
        let kind = json["type"].as_str().unwrap();
        kind.strip_prefix("/problems/").unwrap().to_owned()
    }

    /// The fields that a problem lists.
    pub(crate) fn fields(&self) -> Vec<String> {
        let json = self.json();
        let errors = json["errors"].as_array().unwrap();
        let fields = errors.iter().map(|error| error["field"].as_str().unwrap());
        fields.map(str::to_owned).collect()
    }
}

/// An API and its store.
pub(crate) struct Harness {
    pub(crate) store: Arc<InMemoryStore>,
    pub(crate) cache: Option<Arc<dyn TaskCache>>,
    pub(crate) router: Router,
}

impl Harness {
    /// An API with a cache.
    pub(crate) fn new() -> Self {
        Self::with_cache(Some(Arc::new(InMemoryTaskCache::new())))
    }

    /// An API with authentication and without a cache.
    pub(crate) fn guarded(auth: Auth) -> Self {
        let store = Arc::new(InMemoryStore::new());
        let state = ApiState::new(store.clone(), store.clone(), None, STALE_AFTER);
        let router = router(state, auth, Cors::default());
        let cache = None;
        Self {
            store,
            cache,
            router,
        }
    }

    pub(crate) fn with_cache(cache: Option<Arc<dyn TaskCache>>) -> Self {
        Self::over(Arc::new(InMemoryStore::new()), cache, Timestamp::now)
    }

    /// An API with this store, cache and clock.
    pub(crate) fn over(
        store: Arc<InMemoryStore>,
        cache: Option<Arc<dyn TaskCache>>,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Self {
        let state = ApiState::new(store.clone(), store.clone(), cache.clone(), STALE_AFTER);
        let router = router(state.with_clock(clock), Auth::none(), Cors::default());
        Self {
            store,
            cache,
            router,
        }
    }

    /// An API with this store, which reads the last lines of log streams from `log_tails`.
    pub(crate) fn with_log_tails(
        store: Arc<InMemoryStore>,
        log_tails: Arc<dyn TailSource>,
    ) -> Self {
        let state = ApiState::new(store.clone(), store.clone(), None, STALE_AFTER);
        let state = state.with_log_tails(log_tails);
        Self {
            store,
            cache: None,
            router: router(state, Auth::none(), Cors::default()),
        }
    }

    /// An API with another store of tasks.
    pub(crate) fn with_tasks(tasks: Arc<dyn TaskStore>, cache: Option<Arc<dyn TaskCache>>) -> Self {
        let store = Arc::new(InMemoryStore::new());
        let state = ApiState::new(tasks, store.clone(), cache.clone(), STALE_AFTER);
        let router = router(state, Auth::none(), Cors::default());
        Self {
            store,
            cache,
            router,
        }
    }

    /// An API with other stores.
    pub(crate) fn with_stores(tasks: Arc<dyn TaskStore>, projects: Arc<dyn ProjectStore>) -> Self {
        let state = ApiState::new(tasks, projects, None, STALE_AFTER);
        Self {
            store: Arc::default(),
            cache: None,
            router: router(state, Auth::none(), Cors::default()),
        }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> ApiResponse {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        ApiResponse {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    pub(crate) async fn call(&self, method: Method, path: &str) -> ApiResponse {
        let request = Request::builder().method(method).uri(path);
        self.send(request.body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> ApiResponse {
        self.call(Method::GET, path).await
    }

    /// Sends a GET that must succeed.
    pub(crate) async fn read(&self, path: &str) -> Value {
        let response = self.get(path).await;
        assert_eq!(response.status, StatusCode::OK, "{path}: {response:?}");
        assert_eq!(response.header("content-type"), "application/json");
        response.json()
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<Body>) -> ApiResponse {
        let request = Request::post(path).header("content-type", "application/json");
        self.send(request.body(body.into()).unwrap()).await
    }

    /// Sends a POST that must create something.
    pub(crate) async fn make(&self, path: &str, body: Value) -> Value {
        let response = self.post(path, body.to_string()).await;
        assert_eq!(response.status, StatusCode::CREATED, "{response:?}");
        response.json()
    }

    /// All tasks in the store, newest first.
    pub(crate) async fn stored(&self) -> Vec<Task> {
        let query = TaskQuery::default();
        let page = TaskStore::list(&*self.store, &query, None, 200).await;
        page.unwrap().tasks
    }

    /// Saves a task to the store but not to the cache, as another process does.
    pub(crate) async fn save(&self, task: &Task) {
        self.save_after(None, task).await;
    }

    /// Saves a task whose stored state is `previous`.
    pub(crate) async fn save_after(&self, previous: Option<&Task>, next: &Task) {
        self.store.save(&change(previous, next)).await.unwrap();
    }
}

/// Sends a merge patch.
pub(crate) async fn patch(harness: &Harness, path: &str, body: Value) -> ApiResponse {
    let request = Request::patch(path).header("content-type", "application/merge-patch+json");
    harness
        .send(request.body(body.to_string().into()).unwrap())
        .await
}

/// Sends a merge patch with `If-Match`.
pub(crate) async fn patch_if(harness: &Harness, path: &str, tag: &str, body: Value) -> ApiResponse {
    let request = Request::patch(path)
        .header("content-type", "application/json")
        .header("if-match", tag);
    harness
        .send(request.body(body.to_string().into()).unwrap())
        .await
}

/// The log of an agent. Its task is `agent:a`.
pub(crate) struct Log {
    ingest: Ingest,
    start: Timestamp,
}

impl Log {
    /// A log that began a few seconds ago.
    pub(crate) fn new(harness: &Harness) -> Self {
        let renderer = Renderer::new(STALE_AFTER);
        let write_through = WriteThrough::new(harness.cache.clone(), renderer);
        let (tasks, projects) = (harness.store.clone(), harness.store.clone());
        Self {
            ingest: Ingest::new(tasks, projects, write_through),
            start: Timestamp::from_millis(Timestamp::now().as_millis() - 5000),
        }
    }

    /// Collects lines from the beginning of the log, with ten seconds between them. A line that was
    /// collected before is the same line.
    pub(crate) async fn collect(&self, lines: &[&str]) {
        let lines = (0..).zip(lines);
        let lines = lines.map(|(number, line)| (number * 10, *line));
        self.collect_at(&lines.collect::<Vec<_>>()).await;
    }

    /// Collects lines, each with the seconds since the beginning of the log. They were ingested ten
    /// seconds after the beginning.
    pub(crate) async fn collect_at(&self, lines: &[(u64, &str)]) {
        let at = |seconds| self.start.after(Duration::from_secs(seconds));
        let mut batch = Batch::default();
        for (seconds, line) in lines {
            let event = LogEvent {
                log_stream: "a".to_owned(),
                timestamp: at(*seconds),
                ingested_at: at(10),
                event_id: seconds.to_string(),
                message: (*line).to_owned(),
            };
            batch.add(LogFormat::AGENT, "/agents", &event);
        }
        let mut counts = IngestCounts::default();
        let saved = self
            .ingest
            .save(&mut batch, Pace::ALWAYS, Timestamp::now(), &mut counts);
        saved.await.unwrap();
    }
}

/// The change of a task from `previous` to `next`.
pub(crate) fn change(previous: Option<&Task>, next: &Task) -> TaskChange {
    let head = |task: &Task| Head {
        task: task.clone(),
        state: HeadState::Live,
    };
    let items = FactItems {
        life: next.run.as_millis(),
        base_revision: next.revision,
        detail_revision: None,
        segments: 0,
        open_since: None,
    };
    TaskChange {
        task_id: next.task_id.clone(),
        heads: vec![HeadChange {
            session: None,
            previous: previous.map(head),
            next: head(next),
            before: previous.cloned(),
        }],
        facts: FactsChange::Replace(TaskRecord::without_facts(head(next), Vec::new(), items).facts),
        items,
    }
}

/// A pending task that changed `seconds` after a fixed time.
pub(crate) fn task(id: &str, seconds: i64) -> Task {
    let at = Timestamp::from_millis(1_700_000_000_000 + seconds * 1000).to_string();
    let task = serde_json::json!({
        "task_id": id, "task_name": format!("Task {id}"), "task_type": "build",
        "status": "pending", "progress": {}, "run": at, "revision": 1,
        "created_at": at, "updated_at": at,
    });
    serde_json::from_value(task).unwrap()
}

/// The ids of the tasks in a page.
pub(crate) fn ids(page: &Value) -> Vec<String> {
    let tasks = page["tasks"].as_array().unwrap();
    let ids = tasks.iter().map(|task| task["task_id"].as_str().unwrap());
    ids.map(str::to_owned).collect()
}

/// A cache whose calls all fail.
pub(crate) fn failing_cache() -> Arc<dyn TaskCache> {
    let faults = Faults::always(Fault::Error(ErrorKind::Unavailable));
    Arc::new(Faulty::new(Arc::new(InMemoryTaskCache::new()), faults))
}

/// A task store that is unavailable.
pub(crate) fn failing_store() -> Arc<dyn TaskStore> {
    store_with(Fault::Error(ErrorKind::Unavailable))
}

/// A task store that refuses each call.
pub(crate) fn refusing_store() -> Arc<dyn TaskStore> {
    store_with(Fault::Error(ErrorKind::Refused))
}

/// A task store whose calls all panic.
pub(crate) fn panicking_store() -> Arc<dyn TaskStore> {
    store_with(Fault::Panic)
}

fn store_with(fault: Fault) -> Arc<dyn TaskStore> {
    let store = Arc::new(InMemoryStore::new());
    Arc::new(Faulty::new(store, Faults::always(fault)))
}
