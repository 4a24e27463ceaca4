//! Clients that read tasks again and again. What a client is shown must never go backward, and
//! never be older than the cache may be.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Router;
use axum::http::{Method, StatusCode};
use serde_json::Value;
use shared::model::{TaskId, TaskStatus};
use testkit::oracle::{Oracle, Revisions, View, revision_of};
use tokio::time::Instant;

use crate::harness::Harness;
use crate::request::{Response, send};
use crate::trace;

/// How often a client reads.
const POLLS: usize = 18;
/// How old an answer may be.
const FRESH_FOR: Duration = Duration::from_secs(5);
/// How old the answer about a run may be that has ended.
const ENDED_FRESH_FOR: Duration = Duration::from_secs(60);
/// How old a list may be after something was written.
const CHANGED_LIST_FRESH_FOR: Duration = Duration::from_secs(1);

const LISTS: [&str; 3] = [
    "/api/tasks?limit=200",
    "/api/tasks?status=running",
    "/api/projects/shop/tasks",
];

/// A client. Each of its requests goes to a random instance.
pub(crate) struct Client<'a> {
    name: String,
    harness: &'a Harness,
    apis: &'a [Router],
    oracle: &'a Oracle,
    /// Whether it sends the entity tag of its copy (`If-None-Match`).
    sends_etags: bool,
    /// By path, the last response.
    held: BTreeMap<String, Response>,
    view: View,
}

impl<'a> Client<'a> {
    pub(crate) fn new(
        name: String,
        harness: &'a Harness,
        apis: &'a [Router],
        oracle: &'a Oracle,
    ) -> Self {
        let sends_etags = harness.rng.chance(50);
        let must_not_go_back = sends_etags || harness.fault_plan.spares_cache();
        Self {
            name,
            harness,
            apis,
            oracle,
            sends_etags,
            held: BTreeMap::new(),
            view: match must_not_go_back {
                true => View::default(),
                false => View::that_may_go_back(),
            },
        }
    }

    /// Reads tasks and lists until the run is over.
    pub(crate) async fn run(mut self) {
        let rng = &self.harness.rng.clone();
        let favourite = rng.pick(&self.oracle.known_tasks()).clone();
        for _ in 0..POLLS {
            rng.pause(100..3_500).await;
            match rng.number(0..10) {
                0..4 => self.read_task(&favourite).await,
                4..6 => {
                    let task_ids = self.oracle.known_tasks();
                    self.read_task(rng.pick(&task_ids)).await;
                }
                _ => {
                    let path = *rng.pick(&LISTS);
                    self.read_list(path).await;
                }
            }
        }
    }

    async fn read_task(&mut self, task_id: &TaskId) {
        let was_deleted = self.oracle.was_deleted(task_id);
        let begun = Instant::now();
        let path = format!("/api/tasks/{task_id}");
        let response = self.get(&path).await;
        let spares_cache = self.harness.fault_plan.spares_cache();
        match response.status {
            StatusCode::OK => {
                let checked = self.oracle.check_shown(&mut self.view, &response.json);
                checked.unwrap_or_else(|error| panic!("{}: {error}", self.name));
                assert!(
                    !was_deleted || !spares_cache,
                    "{} saw {task_id}, which is deleted",
                    self.name
                );
                let status: TaskStatus = response.json["status"].as_str().unwrap().parse().unwrap();
                let fresh_for = match status.is_terminal() {
                    true => ENDED_FRESH_FOR,
                    false => FRESH_FOR,
                };
                self.assert_stored_since(&response.json, begun - fresh_for);
            }
            StatusCode::NOT_FOUND => {
                self.held.remove(&path);
                if !spares_cache {
                    self.view.forget(&task_id.clone().into());
                }
            }
            _ => {}
        }
    }

    async fn read_list(&mut self, path: &str) {
        let begun = Instant::now();
        let changed = self.harness.watch.announced();
        // A list that was read before the last announced write is shown for a second only.
        let unchanged_since = changed.unwrap_or(begun - FRESH_FOR);
        let oldest = (begun - FRESH_FOR).max(unchanged_since.min(begun - CHANGED_LIST_FRESH_FOR));
        let response = self.get(path).await;
        if response.status != StatusCode::OK {
            return;
        }
        let mut shown = Revisions::new();
        for task in response.json["tasks"].as_array().unwrap() {
            let checked = self.oracle.check_listed(task);
            checked.unwrap_or_else(|error| panic!("{}: {error}", self.name));
            self.assert_stored_since(task, oldest);
            let (id, revision) = revision_of(task);
            shown.insert(id, revision);
        }
        if path == LISTS[0] && self.store_is_up() {
            for id in self.harness.watch.existing_since(oldest) {
                let is_shown = shown.contains_key(&id);
                assert!(is_shown, "{}: {id} is missing in the list", self.name);
            }
        }
    }

    /// While the store is down, answers may be older.
    fn store_is_up(&self) -> bool {
        self.harness.fault_plan.store_fails == 0
    }

    /// An answer was true at some time since `oldest`.
    fn assert_stored_since(&self, task: &Value, oldest: Instant) {
        let (id, revision) = revision_of(task);
        let watch = &self.harness.watch;
        assert!(
            !self.store_is_up() || watch.was_stored_since(&id, revision, oldest),
            "{}: {id} was not in revision {revision} since {:?} before now",
            self.name,
            oldest.elapsed()
        );
    }

    /// Requests `path`. A `304` gives the response that the client has.
    async fn get(&mut self, path: &str) -> Response {
        let api = self.harness.rng.pick(self.apis);
        let held = self.held.get(path).filter(|_| self.sends_etags);
        let etag = held.and_then(|held| held.etag.clone());
        let headers: Vec<_> = etag
            .iter()
            .map(|etag| ("if-none-match", etag.as_str()))
            .collect();
        let response = send(api, Method::GET, path, &headers, None).await;
        let response = match response.status {
            StatusCode::NOT_MODIFIED => held.unwrap().clone(),
            _ => response,
        };
        trace::step(self.harness.elapsed(), &self.name, || {
            format!(
                "GET {path}: {} {}",
                response.status,
                revisions_in(&response.json)
            )
        });
        let may_fail = self.harness.fault_plan.store_fails > 0;
        match response.status {
            StatusCode::OK => drop(self.held.insert(path.to_owned(), response.clone())),
            StatusCode::NOT_FOUND => {}
            StatusCode::SERVICE_UNAVAILABLE if may_fail => {}
            _ => panic!("{}: GET {path}: {response:?}", self.name),
        }
        response
    }
}

fn revisions_in(json: &Value) -> String {
    let tasks = match json["tasks"].as_array() {
        Some(tasks) => tasks.iter().collect(),
        None if json["task_id"].is_string() => vec![json],
        None => vec![],
    };
    let shown = |task: &Value| {
        let (id, revision) = revision_of(task);
        let progress = &task["progress"]["percentage"];
        format!("{id} r{revision} {} {progress}", task["status"])
    };
    tasks.into_iter().map(shown).collect::<Vec<_>>().join(", ")
}
