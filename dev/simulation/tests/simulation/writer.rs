//! Who makes, changes and deletes tasks through the API.

use std::time::Duration;

use axum::Router;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use shared::model::{Revision, TaskId};
use tokio::time::timeout;

use crate::client::revision_of;
use crate::history::History;
use crate::request::{Answer, send};
use crate::trace;
use crate::world::World;

/// How much a writer does.
const WRITES: u64 = 10;
/// How often it asks again for what it must know the end of.
const ATTEMPTS: usize = 4;

/// A caller that writes.
pub(crate) struct Writer<'a> {
    pub(crate) number: u64,
    pub(crate) world: &'a World,
    pub(crate) apis: &'a [Router],
    pub(crate) history: &'a History,
    /// The tasks that it may change besides its own: those that logs report.
    pub(crate) logged: &'a [TaskId],
}

impl Writer<'_> {
    /// Writes now and then.
    pub(crate) async fn run(self) {
        let dice = &self.world.dice;
        let mut own: Vec<(TaskId, Revision)> = Vec::new();
        for write in 0..WRITES {
            dice.pause(100..4_000).await;
            let change = self.number * 100 + write;
            match dice.number(0..10) {
                0..3 => own.extend(self.make(change).await),
                3..5 if !self.logged.is_empty() => {
                    self.change(dice.pick(self.logged), None, change).await;
                }
                5 if !own.is_empty() => {
                    let (task_id, _) = own.swap_remove(0);
                    self.delete(&task_id).await;
                }
                6 if !self.logged.is_empty() => {
                    self.delete_logged(dice.pick(self.logged)).await;
                }
                7..9 => {
                    self.change(dice.pick(&self.history.known_tasks()), None, change)
                        .await;
                }
                _ if !own.is_empty() => {
                    let (task_id, revision) = own.last_mut().unwrap();
                    let known = dice.chance(50).then_some(*revision);
                    let changed = self.change(&task_id.clone(), known, change).await;
                    *revision = changed.unwrap_or(*revision);
                }
                _ => {}
            }
        }
    }

    /// Makes a task, and asks until it knows that it did.
    async fn make(&self, number: u64) -> Option<(TaskId, Revision)> {
        let task_id = format!("job-{number}");
        let key = format!("key-{number}");
        let mut body = json!({
            "task_id": task_id, "task_name": format!("Job {number}"), "task_type": "build",
            "status": self.world.dice.pick(&["pending", "running"]), "metadata": {"change": number},
        });
        if self.world.dice.chance(50) {
            body["project_id"] = json!("shop");
        }
        for _ in 0..ATTEMPTS {
            let headers = [("idempotency-key", key.as_str())];
            let sent = self
                .send(Method::POST, "/api/tasks", &headers, Some(&body))
                .await;
            if let Some(answer) = sent {
                match answer.status {
                    StatusCode::CREATED => {
                        let made = revision_of(&answer.json);
                        self.history.expect_task(&made.0);
                        self.assert_told(&made.0, made.1);
                        return Some(made);
                    }
                    StatusCode::SERVICE_UNAVAILABLE => {}
                    _ => panic!("a repeated POST was answered otherwise: {answer:?}"),
                }
            }
            self.world.dice.pause(100..2_000).await;
        }
        None
    }

    /// Changes a task, if it is of the `known` revision; the new one if it was changed.
    async fn change(
        &self,
        task_id: &TaskId,
        known: Option<Revision>,
        number: u64,
    ) -> Option<Revision> {
        let mut patch = json!({"metadata": {"change": number}});
        let dice = &self.world.dice;
        match dice.number(0..4) {
            0 => patch["progress"] = json!({"current": dice.number(0..9), "total": 9}),
            1 => {
                patch["status"] =
                    json!(dice.pick(&["running", "blocked", "completed", "cancelled"]))
            }
            2 => patch["message"] = json!(format!("change {number}")),
            _ => {}
        }
        self.history.note_change(task_id);
        let path = format!("/api/tasks/{task_id}");
        let if_match = known.map(|revision| format!("\"{revision}-0\""));
        let headers: Vec<_> = if_match
            .iter()
            .map(|tag| ("if-match", tag.as_str()))
            .collect();
        let mut answer = self
            .send(Method::PATCH, &path, &headers, Some(&patch))
            .await;
        let is_unknown = |answer: &Option<Answer>| {
            answer
                .as_ref()
                .is_none_or(|answer| answer.status.is_server_error())
        };
        if is_unknown(&answer) && known.is_none() && dice.chance(50) {
            self.history.note_perhaps_written(number);
            answer = self
                .send(Method::PATCH, &path, &headers, Some(&patch))
                .await;
        }
        match answer {
            Some(answer) if answer.status == StatusCode::OK => {
                self.history.note(&answer.json);
                let (_, revision) = revision_of(&answer.json);
                self.history.note_written(task_id, revision, number);
                self.assert_told(task_id, revision);
                if let Some(known) = known {
                    assert_eq!(revision, known.next(), "If-Match was ignored");
                }
                Some(revision)
            }
            Some(answer) if answer.status.is_client_error() => None,
            _ => {
                self.history.note_perhaps_written(number);
                None
            }
        }
    }

    /// What was confirmed is in lists from then on, unless it is deleted by now.
    fn assert_told(&self, task_id: &TaskId, revision: Revision) {
        let told = self.world.cache().told();
        let is_told = told.get(task_id).is_some_and(|told| *told >= revision);
        let may_be_gone = self.history.was_perhaps_deleted(task_id);
        assert!(
            is_told || may_be_gone || !self.world.weather.spares_cache(),
            "lists were not told of {task_id} in revision {revision}"
        );
    }

    /// Deletes a task of its own, for good.
    async fn delete(&self, task_id: &TaskId) {
        self.history.note_perhaps_deleted(task_id);
        let path = format!("/api/tasks/{task_id}");
        let answer = self.send(Method::DELETE, &path, &[], None).await;
        if answer.is_some_and(|answer| answer.status == StatusCode::NO_CONTENT) {
            self.history.note_deletion(task_id);
        }
    }

    /// Deletes a task that logs report: a later run may bring it back.
    async fn delete_logged(&self, task_id: &TaskId) {
        self.history.note_perhaps_deleted(task_id);
        let path = format!("/api/tasks/{task_id}");
        self.send(Method::DELETE, &path, &[], None).await;
    }

    /// The answer to a request; `None` if the instance was killed before it gave one.
    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Option<Answer> {
        let World { dice, weather, .. } = self.world;
        let api = dice.pick(self.apis);
        let request = send(api, method.clone(), path, headers, body);
        let is_killed = dice.chance(weather.kills);
        let lives = if is_killed {
            dice.millis(1..400)
        } else {
            Duration::from_secs(600)
        };
        let answer = timeout(lives, request).await.ok();
        trace::step(
            self.world.elapsed(),
            format!("writer {}", self.number),
            || {
                let answered = answer
                    .as_ref()
                    .map(|answer| (answer.status, &answer.json["revision"]));
                let body = body.map_or_else(String::new, Value::to_string);
                format!("{method} {path} {body}: {answered:?}")
            },
        );
        let Some(answer) = answer else {
            assert!(is_killed, "{method} {path} was not answered");
            return None;
        };
        let may_fail = answer.status == StatusCode::SERVICE_UNAVAILABLE && weather.store_fails > 0;
        assert!(
            !answer.status.is_server_error() || may_fail,
            "{method} {path}: {answer:?}"
        );
        Some(answer)
    }
}
