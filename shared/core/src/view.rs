//! Renders tasks and projects as the JSON of the API. No other code does.

use std::time::Duration;

use serde::Serialize;

use crate::model::{Project, Task, TaskStatus, Timestamp};

/// A task in the API: its stored fields and the fields computed on each read.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct TaskView<'a> {
    /// The stored task.
    #[serde(flatten)]
    pub task: &'a Task,
    /// Whether the task is running and has not changed for too long.
    pub stale: bool,
    /// The estimated end of the run; `None` if there is no estimate.
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

/// Renders tasks and projects as JSON, and computes how long that JSON stays valid.
#[derive(Debug, Clone, Copy)]
pub struct Renderer {
    stale_after_ms: u64,
}

impl Renderer {
    /// Creates a renderer that shows a running task as stale once it has not changed for
    /// `stale_after`.
    pub fn new(stale_after: Duration) -> Self {
        Self {
            stale_after_ms: u64::try_from(stale_after.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// The view of `task` at `now`.
    pub fn view<'a>(&self, task: &'a Task, now: Timestamp) -> TaskView<'a> {
        let stale = task.is_stale(now, self.stale_after_ms);
        // An estimate in the past was wrong.
        let eta = task.eta().filter(|eta| !stale && now < *eta);
        TaskView { task, stale, eta }
    }

    /// Renders a task.
    pub fn task(&self, task: &Task, now: Timestamp) -> Vec<u8> {
        to_json(&self.view(task, now))
    }

    /// Renders a page of tasks. `next_cursor` is the cursor of the next page.
    pub fn page(&self, tasks: &[Task], next_cursor: Option<String>, now: Timestamp) -> Vec<u8> {
        to_json(&TaskPage {
            tasks: tasks.iter().map(|task| self.view(task, now)).collect(),
            next_cursor,
        })
    }

    /// Renders a project.
    pub fn project(&self, project: &Project) -> Vec<u8> {
        to_json(project)
    }

    /// Renders a list of projects.
    pub fn projects(&self, projects: &[Project]) -> Vec<u8> {
        to_json(&ProjectPage { projects })
    }

    /// The time until the view of a task changes without a write; `None` if it never does.
    pub fn until_view_changes(&self, task: &Task, now: Timestamp) -> Option<Duration> {
        let eta = task.eta().filter(|eta| now < *eta);
        let until_eta = eta.map(|eta| Duration::from_millis(eta.millis_since(now)));
        let until_stale = self.until_stale(task, now);
        [until_eta, until_stale].into_iter().flatten().min()
    }

    /// The time until a task becomes stale; `None` if it never does, or is stale already.
    fn until_stale(&self, task: &Task, now: Timestamp) -> Option<Duration> {
        let silent_ms = now.millis_since(task.updated_at);
        let left_ms = self.stale_after_ms.checked_sub(silent_ms)?;
        (task.status == TaskStatus::Running).then(|| Duration::from_millis(left_ms))
    }
}

fn to_json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("records have string keys and no fallible serializer")
}
