//! Who looks at tasks, again and again: what they are shown never goes backward.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::http::{Method, StatusCode};
use serde_json::Value;
use shared::model::{Revision, TaskId};

use crate::history::History;
use crate::request::{Answer, send};
use crate::trace;
use crate::watched_cache::{Revisions, stored_revisions};
use crate::world::World;

/// How often a client looks.
const POLLS: usize = 18;

const LISTS: [&str; 3] = [
    "/api/tasks?limit=200",
    "/api/tasks?status=running",
    "/api/projects/shop/tasks",
];

/// A client, which asks whatever instance it gets to.
pub(crate) struct Client<'a> {
    pub(crate) name: String,
    pub(crate) world: &'a World,
    pub(crate) apis: &'a [Router],
    pub(crate) history: &'a History,
    /// Whether it says what it has (`If-None-Match`).
    pub(crate) names_what_it_has: bool,
    /// By path, the last answer.
    held: BTreeMap<String, Answer>,
    /// By task, the highest revision that it was shown.
    seen: Revisions,
}

impl<'a> Client<'a> {
    pub(crate) fn new(
        name: String,
        world: &'a World,
        apis: &'a [Router],
        history: &'a History,
    ) -> Self {
        Self {
            name,
            world,
            apis,
            history,
            names_what_it_has: world.dice.chance(50),
            held: BTreeMap::new(),
            seen: BTreeMap::new(),
        }
    }

    /// Looks at tasks and lists until the run is over.
    pub(crate) async fn run(mut self) {
        let dice = &self.world.dice.clone();
        let favourite = dice.pick(&self.history.known_tasks()).clone();
        for _ in 0..POLLS {
            dice.pause(100..3_500).await;
            match dice.number(0..10) {
                0..4 => self.look_at_task(&favourite).await,
                4..6 => {
                    let task_ids = self.history.known_tasks();
                    self.look_at_task(dice.pick(&task_ids)).await;
                }
                _ => {
                    let path = *dice.pick(&LISTS);
                    self.look_at_list(path).await;
                }
            }
        }
    }

    /// Looks once at a task.
    async fn look_at_task(&mut self, task_id: &TaskId) {
        let was_deleted = self.history.was_deleted_for_good(task_id);
        let path = format!("/api/tasks/{task_id}");
        let answer = self.get(&path).await;
        match answer.status {
            StatusCode::OK => {
                self.history.note(&answer.json);
                let (_, revision) = revision_of(&answer.json);
                let seen = self.seen.get(task_id).copied().unwrap_or_default();
                let spares_cache = self.world.weather.spares_cache();
                let name = &self.name;
                assert!(
                    revision >= seen || !(self.names_what_it_has || spares_cache),
                    "{name} saw {task_id} go back from {seen} to {revision}"
                );
                assert!(
                    !was_deleted || !spares_cache,
                    "{name} saw {task_id}, which is deleted"
                );
                self.seen.insert(task_id.clone(), revision.max(seen));
            }
            StatusCode::NOT_FOUND => {
                self.held.remove(&path);
                if !self.world.weather.spares_cache() {
                    // There is nothing left to say that it has.
                    self.seen.remove(task_id);
                }
            }
            _ => {}
        }
    }

    /// Looks once at a list: it has nothing that is older than what the cache was told of when it was asked for.
    async fn look_at_list(&mut self, path: &str) {
        let told = self.world.cache().told();
        let answer = self.get(path).await;
        if answer.status != StatusCode::OK {
            return;
        }
        let mut shown = Revisions::new();
        for task in answer.json["tasks"].as_array().unwrap() {
            self.history.note(task);
            let (task_id, revision) = revision_of(task);
            if let Some(told) = told.get(&task_id) {
                assert!(
                    revision >= *told,
                    "{}: {path} has {task_id} in revision {revision} after {told}",
                    self.name
                );
            }
            shown.insert(task_id, revision);
        }
        if path == LISTS[0] {
            self.assert_none_is_missing(&told, &shown).await;
        }
    }

    async fn assert_none_is_missing(&self, told: &Arc<Revisions>, shown: &Revisions) {
        let stored = stored_revisions(self.world.store()).await;
        for task_id in told.keys().filter(|task_id| stored.contains_key(*task_id)) {
            let is_shown = shown.contains_key(task_id) || self.history.was_perhaps_deleted(task_id);
            assert!(is_shown, "{}: {task_id} is missing in the list", self.name);
        }
    }

    /// Asks for `path`. What has not changed is as it was held.
    async fn get(&mut self, path: &str) -> Answer {
        let api = self.world.dice.pick(self.apis);
        let held = self.held.get(path).filter(|_| self.names_what_it_has);
        let etag = held.and_then(|held| held.etag.clone());
        let headers: Vec<_> = etag
            .iter()
            .map(|etag| ("if-none-match", etag.as_str()))
            .collect();
        let answer = send(api, Method::GET, path, &headers, None).await;
        let answer = match answer.status {
            StatusCode::NOT_MODIFIED => held.unwrap().clone(),
            _ => answer,
        };
        trace::step(self.world.elapsed(), &self.name, || {
            format!(
                "GET {path}: {} {}",
                answer.status,
                revisions_in(&answer.json)
            )
        });
        let may_fail = self.world.weather.store_fails > 0;
        match answer.status {
            StatusCode::OK => drop(self.held.insert(path.to_owned(), answer.clone())),
            StatusCode::NOT_FOUND => {}
            StatusCode::SERVICE_UNAVAILABLE if may_fail => {}
            _ => panic!("{}: GET {path}: {answer:?}", self.name),
        }
        answer
    }
}

/// Which task `json` is, in which revision.
pub(crate) fn revision_of(json: &Value) -> (TaskId, Revision) {
    let task_id = json["task_id"].as_str().unwrap().parse().unwrap();
    (task_id, Revision(json["revision"].as_u64().unwrap()))
}

fn revisions_in(json: &Value) -> String {
    let tasks = match json["tasks"].as_array() {
        Some(tasks) => tasks.iter().collect(),
        None if json["task_id"].is_string() => vec![json],
        None => vec![],
    };
    let shown = |task: &Value| {
        let (task_id, revision) = revision_of(task);
        let progress = &task["progress"]["percentage"];
        format!("{task_id} r{revision} {} {progress}", task["status"])
    };
    tasks.into_iter().map(shown).collect::<Vec<_>>().join(", ")
}
