//! The time to answer a read from the cache: `cargo bench -p api-lambda --bench requests`.
//!
//! The requests go to the router, with a store and a cache in memory. So the time includes all work
//! of the API, but neither Lambda nor the network.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a bench fails by panicking"
)]

use std::sync::Arc;
use std::time::Duration;

use api_lambda::{ApiState, Auth, Cors, router};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Request, Response, StatusCode};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http_body_util::BodyExt as _;
use serde_json::Value;
use shared::fold::CallerEdit;
use shared::model::{TaskStatus, TaskType};
use shared::record::{CallerFields, TaskChange, TaskRecord};
use shared::store::TaskStore as _;
use testkit::cache::memory::InMemoryTaskCache;
use testkit::store::conformance::moment;
use testkit::store::memory::InMemoryStore;
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt as _;

/// The number of tasks: more than two pages.
const STORED: usize = 250;
const TASK: &str = "/api/tasks/task-7";
const PAGE: &str = "/api/tasks?limit=100";

/// An API and its runtime.
struct Api {
    runtime: Runtime,
    router: Router,
}

impl Api {
    /// An API with tasks in its store and an empty cache.
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        let store = Arc::new(InMemoryStore::new());
        for number in 0..STORED {
            runtime.block_on(store.save(&creation(number))).unwrap();
        }
        let cache = Arc::new(InMemoryTaskCache::new());
        let stale_after = Duration::from_secs(900);
        let state = ApiState::new(store.clone(), store, Some(cache), stale_after);
        Self {
            runtime,
            router: router(state, Auth::none(), Cors::default()),
        }
    }

    fn send(&self, request: Request<Body>) -> Response<Bytes> {
        self.runtime.block_on(async {
            let response = self.router.clone().oneshot(request).await.unwrap();
            let (parts, body) = response.into_parts();
            Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
        })
    }

    /// Sends a GET. The cache has the response afterwards.
    fn get(&self, path: &str) -> Response<Bytes> {
        self.send(get(path, None))
    }
}

/// The creation of a completed task: it never turns stale.
fn creation(number: usize) -> TaskChange {
    let edit = CallerEdit {
        task_name: Some(format!("Task {number}")),
        status: Some(TaskStatus::Completed),
        ..CallerEdit::default()
    };
    let fields = CallerFields {
        priority: None,
        project_id: None,
        metadata: None,
    };
    let record = TaskRecord::new(format!("task-{number}").parse().unwrap());
    let at = moment(i64::try_from(number).unwrap());
    record.create(TaskType::CdkDeploy, edit, &fields, at)
}

/// A GET. If there is a tag, the client has the response with it.
fn get(path: &str, tag: Option<&str>) -> Request<Body> {
    let mut request = Request::get(path);
    if let Some(tag) = tag {
        request = request.header("if-none-match", tag);
    }
    request.body(Body::empty()).unwrap()
}

fn header<'a>(response: &'a Response<Bytes>, name: &str) -> &'a str {
    let value = response.headers().get(name);
    value.map_or("", |value| value.to_str().unwrap())
}

fn requests(criterion: &mut Criterion) {
    let api = Api::new();
    let tag = header(&api.get(TASK), "etag").to_owned();
    let page: Value = serde_json::from_slice(api.get(PAGE).body()).unwrap();
    let next = format!("{PAGE}&cursor={}", page["next_cursor"].as_str().unwrap());
    api.get(&next);

    let mut group = criterion.benchmark_group("cached");
    for (name, path, tag, status) in [
        ("a task", TASK, None, StatusCode::OK),
        (
            "a task, unchanged",
            TASK,
            Some(tag.as_str()),
            StatusCode::NOT_MODIFIED,
        ),
        ("a page of 100 tasks", PAGE, None, StatusCode::OK),
        (
            "a page of 100 tasks, by cursor",
            &next,
            None,
            StatusCode::OK,
        ),
    ] {
        let response = api.send(get(path, tag));
        assert_eq!(response.status(), status, "{name}");
        let waits = header(&response, "server-timing");
        assert!(
            waits.contains("cache") && !waits.contains("store"),
            "{name}: {waits}"
        );
        group.bench_function(name, |bencher| {
            let request = || get(path, tag);
            bencher.iter_batched(request, |request| api.send(request), BatchSize::SmallInput);
        });
    }
    group.finish();
}

criterion_group!(benches, requests);
criterion_main!(benches);
