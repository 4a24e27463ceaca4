//! The one place where tasks and projects become the API's bytes.

use std::time::Duration;

use serde::Serialize;

use crate::model::{Project, Revision, Task, TaskStatus, Timestamp};

/// How long a task that is over is kept in the cache.
const TERMINAL_TTL: Duration = Duration::from_secs(3600);
/// How long any other task is kept, at most.
const LIVE_TTL: Duration = Duration::from_secs(60);
/// How long a task is kept, at least.
const LEAST_TTL: Duration = Duration::from_secs(1);

/// How long the mark of a deleted task is kept: longer than a reader takes that has read it before.
pub(super) const DELETED_TTL: Duration = Duration::from_secs(60);
/// How the mark begins.
pub(super) const DELETED_BEGIN: &[u8] = br#"{"deleted":true,"#;

/// A task as the API shows it: its fields, and what is derived when it is read.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct TaskView<'a> {
    /// What is stored.
    #[serde(flatten)]
    pub task: &'a Task,
    /// Whether it is running and has been silent for too long.
    pub stale: bool,
    /// When it will end, as far as can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta: Option<Timestamp>,
}

#[derive(Serialize)]
struct TaskPage<'a> {
    tasks: Vec<TaskView<'a>>,
    next_cursor: Option<String>,
}

#[derive(Serialize)]
struct ProjectPage<'a> {
    projects: &'a [Project],
}

/// Turns tasks and projects into the bytes that the API answers and the cache holds, and knows for how
/// long these stay true.
#[derive(Debug, Clone, Copy)]
pub struct Renderer {
    stale_after_ms: u64,
}

impl Renderer {
    /// A renderer for which a running task is stale after a silence of `stale_after`.
    pub fn new(stale_after: Duration) -> Self {
        Self {
            stale_after_ms: u64::try_from(stale_after.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// `task` as it is to be shown at `now`.
    pub fn view<'a>(&self, task: &'a Task, now: Timestamp) -> TaskView<'a> {
        let stale = task.is_stale(now, self.stale_after_ms);
        // What should be over and is not tells that it was wrong.
        let eta = task.eta().filter(|eta| !stale && now < *eta);
        TaskView { task, stale, eta }
    }

    /// A task as JSON.
    pub fn task(&self, task: &Task, now: Timestamp) -> Vec<u8> {
        to_json(&self.view(task, now))
    }

    /// What the cache holds of a task that is deleted, so that a slow reader does not put it back.
    pub(super) fn deleted(&self, revision: Revision) -> Vec<u8> {
        let mut mark = DELETED_BEGIN.to_vec();
        mark.extend_from_slice(format!(r#""revision":{revision}}}"#).as_bytes());
        mark
    }

    /// A page of tasks as JSON; `next_cursor` leads to the next one.
    pub fn page(&self, tasks: &[Task], next_cursor: Option<String>, now: Timestamp) -> Vec<u8> {
        to_json(&TaskPage {
            tasks: tasks.iter().map(|task| self.view(task, now)).collect(),
            next_cursor,
        })
    }

    /// A project as JSON.
    pub fn project(&self, project: &Project) -> Vec<u8> {
        to_json(project)
    }

    /// All projects as JSON.
    pub fn projects(&self, projects: &[Project]) -> Vec<u8> {
        to_json(&ProjectPage { projects })
    }

    /// How long the bytes of `task`, made at `now`, may be kept: an hour once it is over; otherwise at
    /// most a minute, and not past the moment when it turns stale or its expected end has passed (or a
    /// second, if that is sooner).
    pub fn cache_ttl(&self, task: &Task, now: Timestamp) -> Duration {
        if task.status.is_terminal() {
            return TERMINAL_TTL;
        }
        match self.until_changed(task, now) {
            Some(left) => left.clamp(LEAST_TTL, LIVE_TTL),
            None => LIVE_TTL,
        }
    }

    /// Until when a page of `tasks`, made at `now`, stays true if none of them is written: `most` from now at
    /// the latest.
    pub(super) fn true_until(&self, tasks: &[Task], now: Timestamp, most: Duration) -> Timestamp {
        let left = tasks
            .iter()
            .filter_map(|task| self.until_changed(task, now));
        now.after(left.min().map_or(most, |left| left.min(most)))
    }

    /// How long until a task is shown otherwise that says nothing more; `None` if it never will.
    fn until_changed(&self, task: &Task, now: Timestamp) -> Option<Duration> {
        let eta = task.eta().filter(|eta| now < *eta);
        let until_eta = eta.map(|eta| Duration::from_millis(eta.millis_since(now)));
        let until_stale = self.until_stale(task, now);
        [until_eta, until_stale].into_iter().flatten().min()
    }

    /// How long until a task turns stale that says nothing more; `None` if it never will, or is.
    fn until_stale(&self, task: &Task, now: Timestamp) -> Option<Duration> {
        let silent_ms = now.millis_since(task.updated_at);
        let left_ms = self.stale_after_ms.checked_sub(silent_ms)?;
        (task.status == TaskStatus::Running).then(|| Duration::from_millis(left_ms))
    }
}

fn to_json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("records have string keys and no fallible serializer")
}
