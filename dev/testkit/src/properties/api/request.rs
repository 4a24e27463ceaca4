//! Arbitrary requests: path, headers and body.

use std::sync::Arc;
use std::time::Duration;

use crate::cache::memory::InMemoryTaskCache;
use crate::store::memory::InMemoryStore;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Method, Request, Uri};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::json;
use shared::fold::CallerEdit;
use shared::model::{Progress, Project, Task, TaskStatus, TaskType, Timestamp, properties};
use shared::record::{CallerFields, Head, TaskRecord};
use shared::store::{ProjectStore, TaskQuery, TaskStore};

use super::response::{Response, runtime};
use api_lambda::{ApiState, Auth, Cors, router};

/// The time of the API's clock.
const NOW_MS: i64 = 1_763_200_000_000;

/// Checks a request: it causes no server error. If it only reads or is refused, it changes nothing.
/// Otherwise the changed tasks are within their limits, and can be read.
///
/// `request` has the syntax of HTTP/1.1 without the version: `PATCH /api/tasks/a`, header lines, an empty line,
/// the body. A header `cursor` stands for a query parameter of that name, whose value is encoded in
/// base64. Returns the status of the response, or `None` if the bytes are no request.
///
/// # Panics
///
/// If a check fails.
pub fn check(request: &[u8]) -> Option<u16> {
    let request = parse(request)?; // API Gateway passes only valid requests
    let reads = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    runtime().block_on(async {
        let store = Arc::new(InMemoryStore::new());
        let cache = Arc::new(InMemoryTaskCache::new());
        let state = ApiState::new(
            store.clone(),
            store.clone(),
            Some(cache),
            Duration::from_secs(900),
        );
        let state = state.with_clock(|| Timestamp::from_millis(NOW_MS));
        let router = router(state, Auth::none(), Cors::default());
        fill(&store).await;
        let before = stored(&store).await;
        let response = Response::to(request, &router).await;
        response.assert_sound();
        let after = stored(&store).await;
        if reads || !response.status.is_success() {
            assert_eq!(after, before, "the store was changed by {response:?}");
        }
        if after != before {
            assert_readable(&after.0, &router).await;
        }
        Some(response.status.as_u16())
    })
}

fn parse(request: &[u8]) -> Option<Request<Body>> {
    let end = request.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = request.split_at(end.unwrap_or(request.len()));
    let body = body.strip_prefix(b"\n\n").unwrap_or_default();
    let mut lines = head.split(|byte| *byte == b'\n');
    let mut words = lines.next()?.splitn(2, |byte| *byte == b' ');
    let method = Method::from_bytes(words.next()?).ok()?;
    let mut target = str::from_utf8(words.next()?).ok()?.to_owned();
    let mut headers = Vec::new();
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = line.split_at(colon);
        let value = value.strip_prefix(b":")?.trim_ascii();
        if name == b"cursor" {
            target.push(if target.contains('?') { '&' } else { '?' });
            target.push_str("cursor=");
            BASE64_URL_SAFE_NO_PAD.encode_string(value, &mut target);
        } else {
            let name = HeaderName::from_bytes(name).ok()?;
            headers.push((name, HeaderValue::from_bytes(value).ok()?));
        }
    }
    let mut request = Request::new(Body::from(body.to_vec()));
    *request.method_mut() = method;
    *request.uri_mut() = target.parse::<Uri>().ok()?;
    request.headers_mut().extend(headers);
    Some(request)
}

/// Stores a few tasks and a project.
async fn fill(store: &InMemoryStore) {
    let at = Timestamp::from_millis(NOW_MS - 60_000);
    for (task_id, status) in [
        ("a", TaskStatus::Pending),
        ("b", TaskStatus::Running),
        ("c", TaskStatus::Completed),
    ] {
        let edit = CallerEdit {
            task_name: Some("Task".to_owned()),
            status: (status != TaskStatus::Pending).then_some(status),
            progress: Some(Progress {
                current: Some(3),
                total: Some(9),
                percentage: Some(33),
            }),
            ..CallerEdit::default()
        };
        let fields = CallerFields {
            priority: None,
            project_id: "p".parse().ok(),
            metadata: json!({"x": {"y": [1, 2]}}).as_object().cloned(),
        };
        let record = TaskRecord::new(task_id.parse().unwrap());
        let change = record.create(TaskType::Build, edit, &fields, at);
        store.save(&change).await.unwrap();
    }
    let project = json!({
        "project_id": "p", "project_name": "Project", "status": "active", "revision": 1,
        "metrics": shared::model::Metrics::default(), "created_at": at, "updated_at": at,
    });
    let project: Project = serde_json::from_value(project).unwrap();
    ProjectStore::create(store, &project).await.unwrap();
}

async fn stored(store: &InMemoryStore) -> (Vec<TaskRecord>, Vec<Project>) {
    let page = TaskStore::list(store, &TaskQuery::default(), None, usize::MAX).await;
    let tasks = page.unwrap().tasks.into_iter();
    let mut task_ids: Vec<_> = tasks.map(|task| task.task_id).collect();
    task_ids.dedup();
    let records = store.fetch_records(&task_ids).await.unwrap();
    (records, ProjectStore::list(store).await.unwrap())
}

/// Every stored run is within its limits, and the API shows it.
async fn assert_readable(records: &[TaskRecord], router: &Router) {
    let heads = records
        .iter()
        .flat_map(|record| record.newest.iter().chain(&record.earlier));
    for task in heads.filter_map(Head::live) {
        properties::check(task);
        let request = Request::get(format!("/api/tasks/{}", task.record_id()));
        let response = Response::to(request.body(Body::empty()).unwrap(), router).await;
        let shown: Task = serde_json::from_value(response.json()).unwrap();
        assert_eq!(shown, *task);
    }
}
