//! Callers that create, change and delete tasks through the API.

use std::time::Duration;

use axum::Router;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use shared::model::{Revision, TaskId};
use testkit::oracle::{Oracle, revision_of};
use tokio::time::timeout;

use crate::harness::Harness;
use crate::request::{Response, send};
use crate::trace;

/// The number of writes of one writer.
const WRITES: u64 = 10;
/// How often a writer sends a request again until it knows the outcome.
const ATTEMPTS: usize = 4;

/// The state of a task that a writer holds.
#[derive(Debug, Clone)]
struct Held {
    revision: Revision,
    etag: String,
}

impl Held {
    fn of(response: &Response) -> Self {
        let etag = response.etag.clone();
        Self {
            revision: revision_of(&response.json).1,
            etag: etag.expect("a task has an entity tag"),
        }
    }
}

/// A caller that writes.
pub(crate) struct Writer<'a> {
    pub(crate) number: u64,
    pub(crate) harness: &'a Harness,
    pub(crate) apis: &'a [Router],
    pub(crate) oracle: &'a Oracle,
    /// Tasks that logs report. The writer may change them besides its own.
    pub(crate) logged: &'a [TaskId],
}

impl Writer<'_> {
    /// Writes at random intervals.
    pub(crate) async fn run(self) {
        let rng = &self.harness.rng;
        let mut own: Vec<(TaskId, Held)> = Vec::new();
        for write in 0..WRITES {
            rng.pause(100..4_000).await;
            let change = self.number * 100 + write;
            match rng.number(0..10) {
                0..3 => own.extend(self.create(change).await),
                3..5 if !self.logged.is_empty() => {
                    self.change(rng.pick(self.logged), None, change).await;
                }
                5 if !own.is_empty() => {
                    let (task_id, held) = own.swap_remove(0);
                    match rng.chance(50) {
                        true => self.delete(&task_id).await,
                        false => own.extend(self.create_again(&task_id, held, change).await),
                    }
                }
                6 if !self.logged.is_empty() => {
                    self.delete_logged(rng.pick(self.logged)).await;
                }
                7..9 => {
                    self.change(rng.pick(&self.oracle.known_tasks()), None, change)
                        .await;
                }
                _ if !own.is_empty() => {
                    let (task_id, held) = own.last_mut().unwrap();
                    let known = rng.chance(50).then(|| held.clone());
                    let changed = self.change(&task_id.clone(), known, change).await;
                    *held = changed.unwrap_or(held.clone());
                }
                _ => {}
            }
        }
    }

    /// Creates a task. Repeats the request until the outcome is known.
    async fn create(&self, number: u64) -> Option<(TaskId, Held)> {
        self.create_as(&format!("job-{number}"), number).await
    }

    /// Deletes a task and creates it again. The new life continues the revisions, and a tag of the
    /// old one admits nothing.
    async fn create_again(
        &self,
        task_id: &TaskId,
        held: Held,
        number: u64,
    ) -> Option<(TaskId, Held)> {
        self.oracle.note_deletion_attempt(task_id);
        let path = format!("/api/tasks/{task_id}");
        let deleted = self.send(Method::DELETE, &path, &[], None).await?;
        if deleted.status != StatusCode::NO_CONTENT {
            return None;
        }
        let created = self.create_as(task_id.as_str(), number).await?;
        assert!(created.1.revision > held.revision.next(), "{task_id}");
        let body = json!({"message": "of the old life"});
        let tag = [("if-match", held.etag.as_str())];
        let stale = self.send(Method::PATCH, &path, &tag, Some(&body)).await;
        let is_refused = |response: &Response| response.status != StatusCode::OK;
        assert!(stale.as_ref().is_none_or(is_refused), "{stale:?}");
        Some(created)
    }

    async fn create_as(&self, task_id: &str, number: u64) -> Option<(TaskId, Held)> {
        let key = format!("key-{number}");
        let mut body = json!({
            "task_id": task_id, "task_name": format!("Job {number}"), "task_type": "build",
            "status": self.harness.rng.pick(&["pending", "running"]), "metadata": {"change": number},
        });
        if self.harness.rng.chance(50) {
            body["project_id"] = json!("shop");
        }
        for attempt in 0..ATTEMPTS {
            let headers = [("idempotency-key", key.as_str())];
            let sent = self
                .send(Method::POST, "/api/tasks", &headers, Some(&body))
                .await;
            if let Some(response) = sent {
                match response.status {
                    StatusCode::CREATED => {
                        let (id, revision) = revision_of(&response.json);
                        self.oracle.expect_task(id.task_id());
                        if attempt == 0 {
                            self.assert_announced(id.task_id(), revision);
                        }
                        return Some((id.task_id().clone(), Held::of(&response)));
                    }
                    StatusCode::SERVICE_UNAVAILABLE => {}
                    _ => panic!("a repeated POST got another response: {response:?}"),
                }
            }
            self.harness.rng.pause(100..2_000).await;
        }
        None
    }

    /// Changes a task, on condition that it has the `known` state. Returns the new state if the
    /// change was confirmed.
    async fn change(&self, task_id: &TaskId, known: Option<Held>, number: u64) -> Option<Held> {
        let mut patch = json!({"metadata": {"change": number}});
        let rng = &self.harness.rng;
        match rng.number(0..4) {
            0 => patch["progress"] = json!({"current": rng.number(0..9), "total": 9}),
            1 => {
                patch["status"] = json!(rng.pick(&["running", "blocked", "completed", "cancelled"]))
            }
            2 => patch["message"] = json!(format!("change {number}")),
            _ => {}
        }
        self.oracle.note_change(task_id);
        let path = format!("/api/tasks/{task_id}");
        let headers: Vec<_> = known
            .iter()
            .map(|known| ("if-match", known.etag.as_str()))
            .collect();
        let mut response = self
            .send(Method::PATCH, &path, &headers, Some(&patch))
            .await;
        let is_unknown = |response: &Option<Response>| {
            let response = response.as_ref();
            response.is_none_or(|response| response.status.is_server_error())
        };
        let is_repeated = is_unknown(&response) && known.is_none() && rng.chance(50);
        if is_repeated {
            self.oracle.note_perhaps_written(number);
            response = self
                .send(Method::PATCH, &path, &headers, Some(&patch))
                .await;
        }
        match response {
            Some(response) if response.status == StatusCode::OK => {
                self.oracle.check_listed(&response.json).unwrap();
                let (_, revision) = revision_of(&response.json);
                let checked = self.oracle.check_written(task_id, revision, number);
                checked.unwrap();
                if !is_repeated {
                    self.assert_announced(task_id, revision);
                }
                if let Some(known) = known {
                    assert_eq!(revision, known.revision.next(), "If-Match was ignored");
                }
                Some(Held::of(&response))
            }
            Some(response) if response.status.is_client_error() => None,
            _ => {
                self.oracle.note_perhaps_written(number);
                None
            }
        }
    }

    /// A generation has begun since a confirmed write, so that lists show it within a second. A
    /// repeated request may find the write of one that was killed.
    fn assert_announced(&self, task_id: &TaskId, revision: Revision) {
        let watch = &self.harness.watch;
        let stored_at = watch.stored_at(&task_id.clone().into(), revision);
        assert!(
            stored_at <= watch.announced() || !self.harness.fault_plan.spares_cache(),
            "{task_id} in revision {revision} was not announced to the cache"
        );
    }

    /// Deletes a task of its own. Nothing brings it back.
    async fn delete(&self, task_id: &TaskId) {
        self.oracle.note_deletion_attempt(task_id);
        let path = format!("/api/tasks/{task_id}");
        let response = self.send(Method::DELETE, &path, &[], None).await;
        if response.is_some_and(|response| response.status == StatusCode::NO_CONTENT) {
            self.oracle.note_deletion(task_id);
        }
    }

    /// Deletes a task that logs report. A later run may bring it back.
    async fn delete_logged(&self, task_id: &TaskId) {
        self.oracle.note_deletion_attempt(task_id);
        let path = format!("/api/tasks/{task_id}");
        self.send(Method::DELETE, &path, &[], None).await;
    }

    /// Sends a request. `None` if the instance was killed before it responded.
    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Option<Response> {
        let Harness {
            rng, fault_plan, ..
        } = self.harness;
        let api = rng.pick(self.apis);
        let request = send(api, method.clone(), path, headers, body);
        let is_killed = rng.chance(fault_plan.kills);
        let lifetime = if is_killed {
            rng.millis(1..400)
        } else {
            Duration::from_secs(600)
        };
        let response = timeout(lifetime, request).await.ok();
        trace::step(
            self.harness.elapsed(),
            format!("writer {}", self.number),
            || {
                let answered = response
                    .as_ref()
                    .map(|response| (response.status, &response.json["revision"]));
                let body = body.map_or_else(String::new, Value::to_string);
                format!("{method} {path} {body}: {answered:?}")
            },
        );
        let Some(response) = response else {
            assert!(is_killed, "{method} {path} was not answered");
            return None;
        };
        let may_fail =
            response.status == StatusCode::SERVICE_UNAVAILABLE && fault_plan.store_fails > 0;
        assert!(
            !response.status.is_server_error() || may_fail,
            "{method} {path}: {response:?}"
        );
        Some(response)
    }
}
