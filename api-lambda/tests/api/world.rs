//! An API on parts in memory, and requests to it.

use std::sync::Arc;
use std::time::Duration;

use api_lambda::{ApiState, Auth, Cors, router};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::Value;
use shared::cache::TaskCache;
use shared::model::{Task, Timestamp};
use shared::store::{TaskQuery, TaskStore};
use testkit::cache::memory::InMemoryTaskCache;
use testkit::faults::{ErrorKind, Fault, Faults, Faulty};
use testkit::store::memory::InMemoryStore;
use tower::ServiceExt as _;

pub(crate) const STALE_AFTER: Duration = Duration::from_secs(900);

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    /// The last segment of a problem's type, having checked what all problems have in common.
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

    /// The names of the fields that a problem is about.
    pub(crate) fn fields(&self) -> Vec<String> {
        let json = self.json();
        let errors = json["errors"].as_array().unwrap();
        let fields = errors.iter().map(|error| error["field"].as_str().unwrap());
        fields.map(str::to_owned).collect()
    }
}

/// An API, and the parts it stands on.
pub(crate) struct World {
    pub(crate) store: Arc<InMemoryStore>,
    pub(crate) router: Router,
}

impl World {
    /// With a cache.
    pub(crate) fn new() -> Self {
        Self::with_cache(Some(Arc::new(InMemoryTaskCache::new())))
    }

    /// For those alone whom `auth` lets in.
    pub(crate) fn guarded(auth: Auth) -> Self {
        let store = Arc::new(InMemoryStore::new());
        let state = ApiState::new(store.clone(), store.clone(), None, STALE_AFTER);
        let router = router(state, auth, Cors::default());
        Self { store, router }
    }

    pub(crate) fn with_cache(cache: Option<Arc<dyn TaskCache>>) -> Self {
        let store = Arc::new(InMemoryStore::new());
        let state = ApiState::new(store.clone(), store.clone(), cache, STALE_AFTER);
        let router = router(state, Auth::none(), Cors::default());
        Self { store, router }
    }

    /// With tasks that are behind something else than the store in memory.
    pub(crate) fn with_tasks(tasks: Arc<dyn TaskStore>, cache: Option<Arc<dyn TaskCache>>) -> Self {
        let store = Arc::new(InMemoryStore::new());
        let state = ApiState::new(tasks, store.clone(), cache, STALE_AFTER);
        let router = router(state, Auth::none(), Cors::default());
        Self { store, router }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    pub(crate) async fn call(&self, method: Method, path: &str) -> Answer {
        let request = Request::builder().method(method).uri(path);
        self.send(request.body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path).await
    }

    /// Gets what is there.
    pub(crate) async fn read(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {answer:?}");
        assert_eq!(answer.header("content-type"), "application/json");
        answer.json()
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<Body>) -> Answer {
        let request = Request::post(path).header("content-type", "application/json");
        self.send(request.body(body.into()).unwrap()).await
    }

    /// Makes what was not there.
    pub(crate) async fn make(&self, path: &str, body: Value) -> Value {
        let answer = self.post(path, body.to_string()).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        answer.json()
    }

    /// All tasks that the store has, newest first.
    pub(crate) async fn stored(&self) -> Vec<Task> {
        let query = TaskQuery::default();
        let page = TaskStore::list(&*self.store, &query, None, 200).await;
        page.unwrap().tasks
    }

    /// Saves a task to the store alone, as another process does.
    pub(crate) async fn save(&self, task: &Task) {
        self.store.save(None, task, None).await.unwrap();
    }
}

/// A pending task that was changed `seconds` after a fixed moment.
pub(crate) fn task(id: &str, seconds: i64) -> Task {
    let at = Timestamp::from_millis(1_700_000_000_000 + seconds * 1000).to_string();
    let task = serde_json::json!({
        "task_id": id, "task_name": format!("Task {id}"), "task_type": "build",
        "status": "pending", "progress": {}, "run": at, "revision": 1,
        "created_at": at, "updated_at": at,
    });
    serde_json::from_value(task).unwrap()
}

/// The ids in a page of tasks.
pub(crate) fn ids(page: &Value) -> Vec<String> {
    let tasks = page["tasks"].as_array().unwrap();
    let ids = tasks.iter().map(|task| task["task_id"].as_str().unwrap());
    ids.map(str::to_owned).collect()
}

/// A cache whose calls all fail.
pub(crate) fn down_cache() -> Arc<dyn TaskCache> {
    let faults = Faults::always(Fault::Error(ErrorKind::Unavailable));
    Arc::new(Faulty::new(Arc::new(InMemoryTaskCache::new()), faults))
}

/// A store of tasks whose calls all fail.
pub(crate) fn down_store(fault: Fault) -> Arc<dyn TaskStore> {
    let inner = Arc::new(InMemoryStore::new());
    Arc::new(Faulty::new(inner, Faults::always(fault)))
}
