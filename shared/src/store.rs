//! The stores of tasks and projects: the source of truth.

pub mod dynamodb;
pub(crate) mod dynamodb_item;
pub(crate) mod error;
pub mod stream_record;
pub mod tables;

use std::time::Duration;

use async_trait::async_trait;

use crate::batch::named_ids::NamedIds;
use crate::log_tail::TailPart;
use crate::model::{
    HistoryEntry, Metrics, Project, ProjectId, RecordId, RunId, Task, TaskId, TaskStatus, TaskType,
    Timestamp,
};
use crate::record::{TaskChange, TaskOrigin, TaskRecord};

pub use error::StoreError;

/// The stored response to a request that created a task. A repetition of the request gets the same
/// response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyRecord {
    /// The key that a request and its repetitions share, at most 128 characters.
    pub key: String,
    /// A digest of the request. A request with this key and another digest is no repetition.
    pub digest: String,
    /// The task that was created.
    pub task_id: TaskId,
    /// The body of the response.
    pub response: String,
    /// When the response was sent. The record is kept for [`IDEMPOTENCY_RECORD_LIFETIME`].
    pub made_at: Timestamp,
}

/// How long an idempotency record is kept.
pub const IDEMPOTENCY_RECORD_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Filters of a task list. Empty sets mean "any".
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct TaskQuery {
    /// Tasks with one of these statuses.
    pub statuses: Vec<TaskStatus>,
    /// Tasks of one of these types.
    pub task_types: Vec<TaskType>,
    /// Tasks of this project.
    pub project_id: Option<ProjectId>,
    /// Tasks with this text in their name or id. Case does not matter.
    pub text: Option<String>,
    /// Tasks that began in this time: their `run` is in it.
    pub begun: TimeRange,
    /// Tasks whose last change was in this time: their `updated_at` is in it.
    pub updated: TimeRange,
}

impl TaskQuery {
    /// Whether `task` passes all filters.
    pub fn matches(&self, task: &Task) -> bool {
        let text = self.text.as_deref().map(lower_case);
        (self.statuses.is_empty() || self.statuses.contains(&task.status))
            && (self.task_types.is_empty() || self.task_types.contains(&task.task_type))
            && (self.project_id.is_none() || self.project_id == task.project_id)
            && text.is_none_or(|text| search_text(task).contains(&text))
            && self.begun.contains(task.run)
            && self.updated.contains(task.updated_at)
    }
}

/// A range of time. The default has all times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct TimeRange {
    /// The first time in it.
    pub from: Option<Timestamp>,
    /// The first time after it.
    pub to: Option<Timestamp>,
}

impl TimeRange {
    /// Whether `time` is in the range.
    pub fn contains(&self, time: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= time) && self.to.is_none_or(|to| time < to)
    }
}

/// The form of a text for comparisons, which ignore case. Each character is lowered by itself, so
/// that a part of a text is a part of its form.
pub(crate) fn lower_case(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

/// The text of a task in which [`TaskQuery::text`] is searched: its name and its id.
pub(crate) fn search_text(task: &Task) -> String {
    lower_case(&format!("{}\n{}", task.task_name, task.task_id))
}

/// One page of a task list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TaskPage {
    /// The runs, newest first, [as lists show them](Task::listed).
    pub tasks: Vec<Task>,
    /// The run after which the next page begins; `None` on the last page. It need not exist.
    pub next: Option<RunId>,
}

/// The new duration estimate after a run changed from `previous` to `next`; `None` if it does not
/// complete thereby.
pub fn duration_estimate_after(previous: Option<&Task>, next: &Task) -> Option<u64> {
    let completed = |task: &Task| task.status == TaskStatus::Completed && !task.is_assumed;
    let was_completed = previous.is_some_and(completed);
    let duration_ms = next.duration_ms.filter(|duration_ms| *duration_ms > 0)?;
    (completed(next) && !was_completed).then(|| match next.usual_duration_ms {
        Some(usual_ms) => usual_ms.midpoint(duration_ms),
        None => duration_ms,
    })
}

/// The key of a duration estimate. Runs with the same key are expected to take as long.
pub fn duration_estimate_key(task: &Task) -> String {
    format!("{}#{}", task.task_type, lower_case(&task.task_name))
}

/// The durable record of tasks.
#[async_trait]
pub trait TaskStore: Send + Sync {
    /// Reads a run, strongly consistent; `None` if there is none. The id of the newest run may name
    /// the task or the run.
    async fn fetch(&self, id: &RecordId) -> Result<Option<Task>, StoreError>;

    /// Reads what a writer needs to know, strongly consistent, in any order. Tasks that never
    /// existed are left out.
    async fn fetch_records(&self, task_ids: &[TaskId]) -> Result<Vec<TaskRecord>, StoreError>;

    /// Writes the heads and the facts of `change`, the history of each run, and the metrics, all or
    /// nothing. If the write completes a run, it also updates the duration estimate. The history of
    /// a run that `change` deletes is deleted afterwards.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] if a stored head is not the one that `change` has read. After an
    /// error during the deletion of history, the change is written, and the rest of the history
    /// will expire.
    async fn save(&self, change: &TaskChange) -> Result<(), StoreError>;

    /// Writes `change` together with `record`, all or nothing. If a record with this key exists,
    /// writes nothing and returns that record.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] as [`Self::save`], if no such record exists.
    async fn create(
        &self,
        change: &TaskChange,
        record: &IdempotencyRecord,
    ) -> Result<Option<IdempotencyRecord>, StoreError>;

    /// Reads the task ids that lines of a log stream have named, strongly consistent; none if
    /// nothing is stored.
    async fn named_ids(&self, origin: &TaskOrigin) -> Result<NamedIds, StoreError>;

    /// Writes the task ids that lines of a log stream have named. `ids.revision` is one more than
    /// that of the ids that were read.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] if the stored ids are other ones than those that were read.
    async fn save_named_ids(&self, origin: &TaskOrigin, ids: &NamedIds) -> Result<(), StoreError>;

    /// Keeps a part of the tail of a run's log for some time. It replaces the part with the same place
    /// among [`TAIL_PARTS`](crate::log_tail::TAIL_PARTS).
    async fn save_tail(
        &self,
        run_id: &RunId,
        part: &TailPart,
        kept_for: Duration,
    ) -> Result<(), StoreError>;

    /// Reads all parts of the tail of a run's log that are still kept, in any order.
    async fn tail(&self, run_id: &RunId) -> Result<Vec<TailPart>, StoreError>;

    /// Takes a run out of the metrics after its head has expired: `expired` is the head that the
    /// store has removed. Once is the same as many times within two days.
    async fn subtract_expired(&self, expired: &Task) -> Result<(), StoreError>;

    /// Lists the runs of a task, the newest first and [as lists show them](Task::listed): at most
    /// `limit` that began before `before`.
    async fn runs(
        &self,
        task_id: &TaskId,
        before: Option<Timestamp>,
        limit: usize,
    ) -> Result<Vec<Task>, StoreError>;

    /// Reads the duration estimate of `task`, in milliseconds; `None` if no run with its type and
    /// name completed within 90 days. The estimate is the mean of the last duration and the
    /// estimate before.
    async fn usual_duration_ms(&self, task: &Task) -> Result<Option<u64>, StoreError>;

    /// Lists tasks in the order of [`RunId`], newest first: at most `limit` (1 to 200) after the run
    /// `after`.
    ///
    /// The order does not change while tasks do. A walk through all pages therefore finds each run
    /// once, unless `query` filters by something that changes meanwhile.
    ///
    /// The list may miss the writes of the last moments, and a run that becomes an earlier one in
    /// these moments. A page may have fewer tasks than `limit`,
    /// even none, and still have a next page: the search for rare tasks stops early, so that no
    /// request takes long.
    async fn list(
        &self,
        query: &TaskQuery,
        after: Option<&RunId>,
        limit: usize,
    ) -> Result<TaskPage, StoreError>;

    /// Lists the history of a run, oldest first: at most `limit` entries later than `after`, none
    /// later than `until`.
    async fn history(
        &self,
        run_id: &RunId,
        after: Option<Timestamp>,
        until: Option<Timestamp>,
        limit: usize,
    ) -> Result<Vec<HistoryEntry>, StoreError>;

    /// Checks that tasks can be read.
    async fn ping(&self) -> Result<(), StoreError>;
}

/// The most projects in a list.
pub const MOST_LISTED_PROJECTS: usize = 1000;

/// The durable record of projects.
#[async_trait]
pub trait ProjectStore: Send + Sync {
    /// Reads a project; `None` if there is none.
    async fn fetch(&self, project_id: &ProjectId) -> Result<Option<Project>, StoreError>;

    /// Creates a project. Its metrics count the tasks that already name it, and those in `project`
    /// are ignored.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] if the project exists.
    async fn create(&self, project: &Project) -> Result<(), StoreError>;

    /// Writes the fields of a project, but not its metrics. `previous` is the state that was read,
    /// and `next.revision` is one more.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] if the stored project no longer has the revision of `previous`.
    async fn update(&self, previous: &Project, next: &Project) -> Result<(), StoreError>;

    /// Lists the projects that were created, by id: at most [`MOST_LISTED_PROJECTS`]. Of more, it
    /// is not defined which ones. The list may miss the writes of the last moments.
    async fn list(&self) -> Result<Vec<Project>, StoreError>;

    /// Lists the same projects, with metrics of zero.
    async fn list_without_metrics(&self) -> Result<Vec<Project>, StoreError>;

    /// Reads the metrics of all tasks, also of those without a project.
    async fn totals(&self) -> Result<Metrics, StoreError>;

    /// Checks that projects can be read.
    async fn ping(&self) -> Result<(), StoreError>;
}
