//! Runs of a task: they stay when later ones begin, and a deleted one does not come back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use shared::model::Timestamp;
use testkit::cache::memory::InMemoryTaskCache;
use testkit::store::memory::InMemoryStore;

use crate::harness::{ApiResponse, Harness, Log, a_second, failing_cache, ids, patch, patch_if};

const X: &str = "/api/tasks/x";

fn body(status: &str) -> Value {
    json!({
        "task_id": "x", "task_name": "Nightly", "task_type": "build", "project_id": "p",
        "status": status, "message": status,
    })
}

async fn begin(harness: &Harness, status: &str) -> Value {
    harness.make("/api/tasks", body(status)).await
}

async fn delete(harness: &Harness, path: &str) -> StatusCode {
    harness.call(Method::DELETE, path).await.status
}

async fn delete_if(harness: &Harness, path: &str, tag: &str) -> StatusCode {
    let request = Request::delete(path).header("if-match", tag);
    harness.send(request.body("".into()).unwrap()).await.status
}

async fn tag_of(harness: &Harness, path: &str) -> String {
    harness.get(path).await.header("etag").to_owned()
}

fn path_of(run: &Value) -> String {
    format!("/api/tasks/{}", run["run_id"].as_str().unwrap())
}

/// The statuses of the runs of `x`, newest first.
async fn statuses(harness: &Harness) -> Vec<Value> {
    let page = harness.read("/api/tasks/x/runs").await;
    let runs = page["runs"].as_array().unwrap();
    runs.iter().map(|run| run["status"].clone()).collect()
}

async fn metrics(harness: &Harness) -> Value {
    harness.read("/api/projects/p").await["metrics"].clone()
}

async fn with_project() -> Harness {
    let harness = Harness::new();
    let project = json!({"project_id": "p", "project_name": "P"});
    harness.make("/api/projects", project).await;
    harness
}

#[tokio::test]
async fn a_later_run_keeps_the_failure_of_the_earlier_one() {
    let harness = with_project().await;
    let failed = begin(&harness, "failed").await;
    let begun = begin(&harness, "running").await;
    assert_eq!(begun["revision"], 2, "revisions go on");
    assert_ne!(begun["run_id"], failed["run_id"]);
    assert_eq!(harness.read(X).await, begun);
    assert_eq!(statuses(&harness).await, ["running", "failed"]);
    let earlier = harness.read(&path_of(&failed)).await;
    assert_eq!(earlier["earlier"], true);
    for name in ["run_id", "status", "message", "created_at", "completed_at"] {
        assert_eq!(earlier[name], failed[name], "{name}");
    }
    assert_eq!(
        harness.read("/api/tasks?status=failed").await["tasks"],
        json!([earlier])
    );
    assert_eq!(ids(&harness.read("/api/tasks").await), ["x", "x"]);
    let counted = metrics(&harness).await;
    assert_eq!(
        (
            &counted["total_tasks"],
            &counted["failed"],
            &counted["running"]
        ),
        (&json!(2), &json!(1), &json!(1))
    );
    for run in [&failed, &begun] {
        let history = harness.read(&format!("{}/history", path_of(run))).await;
        let history = history["history"].as_array().unwrap();
        assert_eq!(history.len(), 1, "{history:?}");
        assert_eq!(history[0]["status"], run["status"]);
        assert_eq!(history[0]["run"], run["run"]);
    }
}

#[tokio::test]
async fn an_open_run_must_end_before_the_next_one() {
    let harness = Harness::new();
    begin(&harness, "blocked").await;
    let refused = harness
        .post("/api/tasks", body("running").to_string())
        .await;
    assert_eq!(refused.problem(), "task-exists");
    patch(&harness, X, json!({"status": "cancelled"})).await;
    begin(&harness, "running").await;
    assert_eq!(statuses(&harness).await, ["running", "cancelled"]);
}

#[tokio::test]
async fn an_earlier_run_can_be_deleted_but_not_changed() {
    let harness = with_project().await;
    let path = path_of(&begin(&harness, "failed").await);
    begin(&harness, "completed").await;
    let refused = patch(&harness, &path, json!({"message": "new"})).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert_eq!(refused.problem(), "earlier-run");
    let detail = refused.json()["detail"].clone();
    assert!(detail.as_str().unwrap().ends_with(" is x"), "{detail}");
    let newest_tag = tag_of(&harness, X).await;
    let refused = delete_if(&harness, &path, &newest_tag).await;
    assert_eq!(refused, StatusCode::PRECONDITION_FAILED);
    let tag = tag_of(&harness, &path).await;
    assert_eq!(
        delete_if(&harness, &path, &tag).await,
        StatusCode::NO_CONTENT
    );
    assert_eq!(delete(&harness, &path).await, StatusCode::NOT_FOUND);
    assert_eq!(harness.get(&path).await.problem(), "task-not-found");
    let history = harness.get(&format!("{path}/history")).await;
    assert_eq!(history.problem(), "task-not-found");
    assert_eq!(statuses(&harness).await, ["completed"]);
    assert_eq!(metrics(&harness).await["total_tasks"], 1);
    // It stays deleted.
    begin(&harness, "running").await;
    assert_eq!(statuses(&harness).await, ["running", "completed"]);
}

#[tokio::test(start_paused = true)]
async fn deleting_a_task_deletes_its_newest_run_alone() {
    let harness = with_project().await;
    let failed = begin(&harness, "failed").await;
    begin(&harness, "completed").await;
    assert_eq!(delete(&harness, X).await, StatusCode::NO_CONTENT);
    for path in [X, "/api/tasks/x/history"] {
        assert_eq!(harness.get(path).await.problem(), "task-not-found");
    }
    assert_eq!(delete(&harness, X).await, StatusCode::NOT_FOUND);
    a_second().await;
    assert_eq!(statuses(&harness).await, ["failed"]);
    let history = harness.read(&format!("{}/history", path_of(&failed))).await;
    assert_eq!(history["history"].as_array().unwrap().len(), 1);
    assert_eq!(metrics(&harness).await["total_tasks"], 1);
    assert_eq!(
        delete(&harness, &path_of(&failed)).await,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        harness.get("/api/tasks/x/runs").await.problem(),
        "task-not-found"
    );
    a_second().await;
    assert_eq!(metrics(&harness).await["total_tasks"], 0);
}

#[tokio::test]
async fn the_newest_run_is_also_found_by_its_own_id() {
    let harness = Harness::new();
    begin(&harness, "failed").await;
    let newest = begin(&harness, "running").await;
    let path = path_of(&newest);
    assert_eq!(harness.read(&path).await, newest);
    let changed = patch(&harness, &path, json!({"message": "new"})).await;
    assert_eq!(changed.status, StatusCode::OK, "{changed:?}");
    assert_eq!(harness.read(X).await, changed.json());
    assert_eq!(delete(&harness, &path).await, StatusCode::NO_CONTENT);
    assert_eq!(statuses(&harness).await, ["failed"]);
}

#[tokio::test]
async fn runs_are_paged_newest_first() {
    let harness = Harness::new();
    let mut expected = Vec::new();
    for _ in 0..5 {
        expected.insert(0, begin(&harness, "completed").await["run_id"].clone());
    }
    let mut path = "/api/tasks/x/runs?limit=2".to_owned();
    let mut seen = Vec::new();
    loop {
        let page = harness.read(&path).await;
        let runs = page["runs"].as_array().unwrap();
        assert!(runs.len() <= 2);
        seen.extend(runs.iter().map(|run| run["run_id"].clone()));
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/api/tasks/x/runs?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen, expected);
    let other = path.replace("/x/", "/y/");
    assert_eq!(harness.get(&other).await.fields(), ["cursor"]);
}

#[tokio::test]
async fn a_tag_of_another_life_is_refused() {
    let harness = Harness::new();
    begin(&harness, "pending").await;
    patch(&harness, X, json!({"message": "1"})).await;
    let of_first = tag_of(&harness, X).await;
    delete(&harness, X).await;
    begin(&harness, "pending").await;
    let of_second = tag_of(&harness, X).await;
    let (revision, _) = of_second.trim_matches('"').split_once('-').unwrap();
    let forged = [
        of_first.clone(),
        "\"1-anything\"".to_owned(),
        format!("\"{revision}-anything\""),
        of_second.replace('"', ""),
        of_first.replacen(|char: char| char.is_ascii_digit(), revision, 1),
    ];
    for tag in &forged {
        let refused = patch_if(&harness, X, tag, json!({"message": "2"})).await;
        assert_eq!(refused.status, StatusCode::PRECONDITION_FAILED, "{tag}");
        let refused = delete_if(&harness, X, tag).await;
        assert_eq!(refused, StatusCode::PRECONDITION_FAILED, "{tag}");
    }
    let weak = format!("\"x\", W/{of_second}");
    let changed = patch_if(&harness, X, &weak, json!({"message": "2"})).await;
    assert_eq!(changed.status, StatusCode::OK);
}

#[tokio::test]
async fn a_tag_holds_until_the_task_is_changed_whatever_the_time() {
    let clock = Arc::new(AtomicI64::new(1_790_000_000_000));
    let now = Arc::clone(&clock);
    let now = move || Timestamp::from_millis(now.load(Ordering::Relaxed));
    let harness = Harness::over(Arc::new(InMemoryStore::new()), None, now);
    begin(&harness, "running").await;
    let wait = |seconds: i64| clock.fetch_add(seconds * 1000, Ordering::Relaxed);
    wait(30);
    let half = json!({"progress": {"current": 5, "total": 10}});
    patch(&harness, X, half).await;
    let mut tags = Vec::new();
    for seconds in [10, 30, 2000] {
        wait(seconds);
        tags.push(tag_of(&harness, X).await);
    }
    tags.dedup();
    assert_eq!(
        tags.len(),
        3,
        "with an estimate, without one, and stale: {tags:?}"
    );
    for tag in &tags {
        let response = patch_if(&harness, X, tag, json!({})).await;
        assert_eq!(response.status, StatusCode::OK, "{tag}");
    }
    patch(&harness, X, json!({"message": "new"})).await;
    for tag in &tags {
        let response = patch_if(&harness, X, tag, json!({})).await;
        assert_eq!(response.problem(), "precondition-failed", "{tag}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_life_is_shown_at_once() {
    let harness = Harness::new();
    for number in 0..5 {
        let begun = begin(&harness, "pending").await;
        let path = path_of(&begun);
        assert_eq!(harness.read(X).await, begun, "{number}");
        assert_eq!(harness.read(&path).await, begun);
        a_second().await;
        assert_eq!(ids(&harness.read("/api/tasks").await), ["x"]);
        assert_eq!(delete(&harness, X).await, StatusCode::NO_CONTENT);
        assert_eq!(harness.get(X).await.problem(), "task-not-found");
        assert_eq!(harness.get(&path).await.problem(), "task-not-found");
        a_second().await;
        assert_eq!(ids(&harness.read("/api/tasks").await), [""; 0]);
    }
}

/// One process can't reach the cache, the other one can.
#[tokio::test]
async fn a_client_that_knows_the_new_life_is_never_shown_the_one_before() {
    let connected = Harness::new();
    let store = connected.store.clone();
    let cut_off = Harness::over(store, Some(failing_cache()), Timestamp::now);
    begin(&connected, "pending").await;
    connected.read(X).await;
    assert_eq!(delete(&cut_off, X).await, StatusCode::NO_CONTENT);
    let begun = cut_off
        .post("/api/tasks", body("pending").to_string())
        .await;
    let known = Request::get(X).header("if-none-match", begun.header("etag"));
    let response = connected.send(known.body("".into()).unwrap()).await;
    assert_eq!(response.status, StatusCode::NOT_MODIFIED, "{response:?}");
    assert_eq!(
        connected.read(X).await,
        begun.json(),
        "the cache has it now"
    );
}

async fn post_once(harness: &Harness, key: &str, body: &Value) -> ApiResponse {
    let request = Request::post("/api/tasks")
        .header("content-type", "application/json")
        .header("idempotency-key", key);
    let request = request.body(body.to_string().into()).unwrap();
    harness.send(request).await
}

#[tokio::test]
async fn a_repeated_request_begins_one_run_whatever_has_become_of_it() {
    let harness = Harness::new();
    begin(&harness, "failed").await;
    let first = post_once(&harness, "k", &body("running")).await;
    assert_eq!(first.status, StatusCode::CREATED, "{first:?}");
    let check_again = async || {
        let again = post_once(&harness, "k", &body("running")).await;
        assert_eq!((again.status, &again.body), (first.status, &first.body));
        assert_eq!(again.header("idempotency-replayed"), "true");
    };
    check_again().await;
    patch(&harness, X, json!({"status": "completed"})).await;
    check_again().await;
    delete(&harness, X).await;
    check_again().await;
    assert_eq!(statuses(&harness).await, ["failed"]);
    let other = post_once(&harness, "k2", &body("running")).await;
    assert_eq!(other.status, StatusCode::CREATED);
    let refused = post_once(&harness, "k3", &body("running")).await;
    assert_eq!(refused.problem(), "task-exists");
    let reused = post_once(&harness, "k", &body("failed")).await;
    assert_eq!(reused.problem(), "idempotency-key-reused");
}

#[tokio::test]
async fn a_line_from_the_future_hides_no_later_run() {
    let completed = r#"{"status": "completed"}"#;
    let failed = r#"{"status": "failed", "message": "no space left"}"#;
    for is_deleted in [false, true] {
        let harness = Harness::new();
        let log = Log::new(&harness);
        let path = "/api/tasks/agent:a";
        log.collect_at(&[(0, "[1/3] cloning"), (7200, completed)])
            .await;
        let ended = harness.read(path).await;
        assert_eq!(ended["status"], "completed");
        let took = ended["duration_ms"].as_u64().unwrap();
        assert!(took <= 10_000, "{took}");
        if is_deleted {
            assert_eq!(delete(&harness, path).await, StatusCode::NO_CONTENT);
            assert_eq!(harness.get(path).await.problem(), "task-not-found");
        }
        log.collect_at(&[(20, "[1/3] cloning"), (21, failed)]).await;
        let later = harness.read(path).await;
        assert_eq!(later["status"], "failed", "{later}");
        let runs = harness.read(&format!("{path}/runs")).await;
        let expected = if is_deleted { 1 } else { 2 };
        assert_eq!(runs["runs"].as_array().unwrap().len(), expected);
    }
}

/// Small random numbers.
struct Rng(u64);

impl Rng {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    fn one_of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }
}

/// Creates, changes and deletes runs of three tasks at random.
async fn write_at_random(harness: Arc<Harness>, mut rng: Rng) {
    for _ in 0..150 {
        let id = rng.one_of(&["x", "y", "z"]);
        let path = format!("/api/tasks/{id}");
        let mut fields = json!({"status": rng.one_of(&["running", "failed", "completed"])});
        fields["project_id"] = match rng.one_of(&["p", "q", ""]) {
            "" => Value::Null,
            project => project.into(),
        };
        let response = match rng.below(8) {
            0..=2 => {
                fields["task_id"] = id.into();
                fields["task_name"] = "Nightly".into();
                fields["task_type"] = "build".into();
                harness.post("/api/tasks", fields.to_string()).await
            }
            3..=5 => patch(&harness, &path, fields).await,
            6 => harness.call(Method::DELETE, &path).await,
            _ => {
                let page = harness.get(&format!("{path}/runs")).await.json();
                let run = page["runs"]
                    .as_array()
                    .and_then(|runs| runs.last())
                    .cloned();
                let Some(run) = run else { continue };
                harness.call(Method::DELETE, &path_of(&run)).await
            }
        };
        let status = response.status;
        assert!(!status.is_server_error() || status == 503, "{response:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_writes_leave_the_metrics_right() {
    let cache = Arc::new(InMemoryTaskCache::new());
    let harness = Arc::new(Harness::with_cache(Some(cache)));
    for id in ["p", "q"] {
        let project = json!({"project_id": id, "project_name": id});
        harness.make("/api/projects", project).await;
    }
    let writers =
        (1..=4).map(|seed| tokio::spawn(write_at_random(Arc::clone(&harness), Rng(seed))));
    for writer in futures::future::join_all(writers).await {
        writer.unwrap();
    }
    let mut counts: BTreeMap<(String, String), u64> = BTreeMap::new();
    let mut path = "/api/tasks?limit=200".to_owned();
    loop {
        let page = harness.read(&path).await;
        for task in page["tasks"].as_array().unwrap() {
            let text = |name: &str| task[name].as_str().unwrap_or_default().to_owned();
            *counts
                .entry((text("project_id"), text("status")))
                .or_default() += 1;
        }
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/api/tasks?limit=200&cursor={cursor}"),
            None => break,
        }
    }
    assert!(counts.values().sum::<u64>() > 10, "{counts:?}");
    for id in ["p", "q"] {
        let metrics = harness.read(&format!("/api/projects/{id}")).await["metrics"].clone();
        for status in [
            "pending",
            "running",
            "blocked",
            "completed",
            "failed",
            "cancelled",
        ] {
            let counted = counts.get(&(id.to_owned(), status.to_owned()));
            let counted = counted.copied().unwrap_or_default();
            assert_eq!(metrics[status], counted, "{id} {status}: {counts:?}");
        }
    }
}
