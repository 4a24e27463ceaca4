//! Renders tasks and projects as the JSON of the API. No other code does.

use std::time::Duration;

use serde::Serialize;

use crate::log_link::Source;
use crate::model::{Metrics, Project, RunId, Task, Timestamp};

/// The most bytes of JSON in a page of tasks: 1 MB. AWS Lambda refuses a response of more than 6 MB
/// (<https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>).
pub const MAX_PAGE_BYTES: usize = 1_000_000;

/// A task in the API: its stored fields and the fields computed on each read.
#[derive(Debug, Clone, Serialize)]
pub struct TaskView<'a> {
    /// The stored task.
    #[serde(flatten)]
    pub task: &'a Task,
    /// The id of the run, which stays the same when later runs begin.
    pub run_id: RunId,
    /// Whether the task is running and has not changed for too long.
    pub stale: bool,
    /// The estimated end of the run; `None` if there is no estimate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta: Option<Timestamp>,
    /// Where the log is; `None` in lists, and where it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
}

#[derive(Serialize)]
struct ProjectPage<'a> {
    projects: &'a [Project],
}

#[derive(Serialize)]
struct Overview<'a> {
    attention: Vec<TaskView<'a>>,
    counts: &'a Metrics,
    projects: &'a [Project],
}

/// What a page may show.
struct Page<'a> {
    /// The name of the list in JSON.
    name: &'static str,
    tasks: &'a [Task],
    next: Option<&'a RunId>,
}

/// Renders tasks and projects as JSON.
#[derive(Debug, Clone, Copy)]
pub struct Renderer {
    stale_after_ms: u64,
    region: Option<&'static str>,
}

impl Renderer {
    /// Creates a renderer that shows a running task as stale once it has not changed for
    /// `stale_after`.
    pub fn new(stale_after: Duration) -> Self {
        Self {
            stale_after_ms: u64::try_from(stale_after.as_millis()).unwrap_or(u64::MAX),
            region: None,
        }
    }

    /// Sets the AWS region of the log groups. Without it, no task tells where its log is.
    #[must_use]
    pub fn with_region(self, region: Option<&'static str>) -> Self {
        Self { region, ..self }
    }

    /// The view of `task` at `now`, as lists have it.
    pub fn view<'a>(&self, task: &'a Task, now: Timestamp) -> TaskView<'a> {
        let stale = task.is_stale(now, self.stale_after_ms);
        // An estimate in the past was wrong.
        let eta = task.eta().filter(|eta| !stale && now < *eta);
        view_of(task, stale, eta)
    }

    /// The view of `task` at `now` with all that is known.
    pub fn full_view<'a>(&self, task: &'a Task, now: Timestamp) -> TaskView<'a> {
        TaskView {
            source: self.source(task),
            ..self.view(task, now)
        }
    }

    fn source(&self, task: &Task) -> Option<Source> {
        Source::of(task, self.region?)
    }

    /// Renders a task.
    pub fn task(&self, task: &Task, now: Timestamp) -> Vec<u8> {
        to_json(&self.full_view(task, now))
    }

    /// Renders every view that this revision of `task` can have, whatever the time.
    pub fn all_of_task(&self, task: &Task) -> impl Iterator<Item = Vec<u8>> {
        let fresh = view_of(task, false, task.eta());
        let overdue = view_of(task, false, None);
        let stale = view_of(task, true, None);
        [fresh, overdue, stale]
            .map(|view| TaskView {
                source: self.source(task),
                ..view
            })
            .map(|view| to_json(&view))
            .into_iter()
    }

    /// Renders a page of tasks: the first of `tasks` in at most [`MAX_PAGE_BYTES`], but at least one.
    /// `next` is the run after which the page after `tasks` begins, and `cursor` writes such a run as
    /// text.
    pub fn page(
        &self,
        tasks: &[Task],
        next: Option<&RunId>,
        cursor: impl FnOnce(&RunId) -> String,
        now: Timestamp,
    ) -> Vec<u8> {
        let page = Page {
            name: "tasks",
            tasks,
            next,
        };
        self.bounded(&page, MAX_PAGE_BYTES, cursor, now)
    }

    /// Renders a page of the runs of a task, as [`Self::page`].
    pub fn runs(
        &self,
        runs: &[Task],
        next: Option<&RunId>,
        cursor: impl FnOnce(&RunId) -> String,
        now: Timestamp,
    ) -> Vec<u8> {
        let page = Page {
            name: "runs",
            tasks: runs,
            next,
        };
        self.bounded(&page, MAX_PAGE_BYTES, cursor, now)
    }

    /// Renders all of `tasks` as one page, however long it is.
    pub fn all(&self, tasks: &[Task], now: Timestamp) -> Vec<u8> {
        let page = Page {
            name: "tasks",
            tasks,
            next: None,
        };
        self.bounded(&page, usize::MAX, RunId::to_string, now)
    }

    fn bounded(
        &self,
        page: &Page<'_>,
        max_bytes: usize,
        cursor: impl FnOnce(&RunId) -> String,
        now: Timestamp,
    ) -> Vec<u8> {
        let mut json = format!(r#"{{"{}":["#, page.name).into_bytes();
        let mut last: Option<&Task> = None;
        let mut next = page.next.cloned();
        for task in page.tasks {
            let entry = to_json(&self.view(task, now));
            if let Some(last) = last {
                if json.len() + entry.len() > max_bytes {
                    next = Some(last.run_id());
                    break;
                }
                json.push(b',');
            }
            json.extend(entry);
            last = Some(task);
        }
        json.extend_from_slice(br#"],"next_cursor":"#);
        json.extend(to_json(&next.as_ref().map(cursor)));
        json.push(b'}');
        json
    }

    /// Renders a project.
    pub fn project(&self, project: &Project) -> Vec<u8> {
        to_json(project)
    }

    /// Renders a list of projects.
    pub fn projects(&self, projects: &[Project]) -> Vec<u8> {
        to_json(&ProjectPage { projects })
    }

    /// Renders the overview: the tasks that need attention, the counts of all tasks, and all projects.
    pub fn overview(
        &self,
        attention: &[Task],
        counts: &Metrics,
        projects: &[Project],
        now: Timestamp,
    ) -> Vec<u8> {
        to_json(&Overview {
            attention: attention.iter().map(|task| self.view(task, now)).collect(),
            counts,
            projects,
        })
    }

    /// A running task is stale if it has not changed since before this time.
    pub fn silent_before(&self, now: Timestamp) -> Timestamp {
        now.before(Duration::from_millis(self.stale_after_ms))
    }
}

fn view_of(task: &Task, stale: bool, eta: Option<Timestamp>) -> TaskView<'_> {
    TaskView {
        task,
        run_id: task.run_id(),
        stale,
        eta,
        source: None,
    }
}

fn to_json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("records have string keys and no fallible serializer")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::model::TaskStatus;

    const STALE_AFTER_MS: u64 = 900_000;

    fn task(status: TaskStatus, current: Option<u64>, usual_duration_ms: Option<u64>) -> Task {
        let at = |ms: i64| Timestamp::from_millis(1_700_000_000_000 + ms);
        let task = serde_json::json!({
            "task_id": "t", "task_name": "T", "task_type": "build", "status": status,
            "progress": {"current": current, "total": 10}, "run": at(0), "revision": 3,
            "created_at": at(0), "started_at": at(0), "updated_at": at(60_000),
            "usual_duration_ms": usual_duration_ms,
        });
        serde_json::from_value(task).unwrap()
    }

    proptest! {
        #[test]
        fn the_view_at_any_time_is_one_of_all_views(
            status in prop::sample::select(TaskStatus::ALL),
            current in proptest::option::of(0_u64..12),
            usual_ms in proptest::option::of(0_u64..2_000_000),
            seconds in -100_i64..3000,
        ) {
            let renderer = Renderer::new(Duration::from_millis(STALE_AFTER_MS));
            let renderer = renderer.with_region(Some("eu-west-1"));
            let mut task = task(status, current, usual_ms);
            (task.log_group, task.log_stream) = (Some("g".to_owned()), Some("s".to_owned()));
            let now = Timestamp::from_millis(1_700_000_000_000 + seconds * 1000);
            let all: BTreeSet<_> = renderer.all_of_task(&task).collect();
            prop_assert!(all.contains(&renderer.task(&task, now)));
        }
    }

    #[test]
    fn a_running_task_goes_through_all_its_views() {
        let renderer = Renderer::new(Duration::from_millis(STALE_AFTER_MS));
        let task = task(TaskStatus::Running, Some(5), None);
        let moment = |seconds: i64| Timestamp::from_millis(1_700_000_000_000 + seconds * 1000);
        let seen: BTreeSet<_> = [61, 300, 2000]
            .map(|seconds| renderer.task(&task, moment(seconds)))
            .into();
        assert_eq!(seen.len(), 3);
        assert_eq!(seen, renderer.all_of_task(&task).collect());
    }
}
