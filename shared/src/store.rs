//! The stores of tasks and projects: the source of truth.

pub mod dynamodb;
pub(crate) mod dynamodb_item;
pub(crate) mod error;
pub mod stream_record;
pub mod tables;

use std::time::Duration;

use async_trait::async_trait;

use crate::model::{
    HistoryEntry, Metrics, Project, ProjectId, RecordId, RunId, Task, TaskId, TaskStatus, TaskType,
    Timestamp,
};
use crate::record::{TaskChange, TaskRecord};

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
    /// Tasks whose name begins with this text. Case does not matter.
    pub name_prefix: Option<String>,
    /// Tasks that were changed later than this.
    pub updated_after: Option<Timestamp>,
}

impl TaskQuery {
    /// Whether `task` passes all filters.
    pub fn matches(&self, task: &Task) -> bool {
        let prefix = self.name_prefix.as_deref().map(name_key);
        (self.statuses.is_empty() || self.statuses.contains(&task.status))
            && (self.task_types.is_empty() || self.task_types.contains(&task.task_type))
            && (self.project_id.is_none() || self.project_id == task.project_id)
            && prefix.is_none_or(|prefix| name_key(&task.task_name).starts_with(&prefix))
            && self
                .updated_after
                .is_none_or(|after| task.updated_at > after)
    }
}

/// The form of a name for comparisons, which ignore case.
pub(crate) fn name_key(name: &str) -> String {
    name.to_lowercase()
}

/// A run's position in the order of all lists: by `updated_at`, then by id, newest first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListPosition {
    /// The run's `updated_at`.
    pub updated_at: Timestamp,
    /// The run's id.
    pub run_id: RunId,
}

impl ListPosition {
    /// The position of `task`.
    pub fn of(task: &Task) -> Self {
        Self {
            updated_at: task.updated_at,
            run_id: task.run_id(),
        }
    }
}

/// One page of a task list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TaskPage {
    /// The runs, newest first. Their `parts` are left out.
    pub tasks: Vec<Task>,
    /// The position after which the next page begins; `None` on the last page. There need not be a
    /// task at this position.
    pub next: Option<ListPosition>,
}

/// The new duration estimate after a run changed from `previous` to `next`; `None` if it does not
/// complete thereby.
pub fn duration_estimate_after(previous: Option<&Task>, next: &Task) -> Option<u64> {
    let completed = |task: &Task| task.status == TaskStatus::Completed;
    let was_completed = previous.is_some_and(completed);
    let duration_ms = next.duration_ms.filter(|duration_ms| *duration_ms > 0)?;
    (completed(next) && !was_completed).then(|| match next.usual_duration_ms {
        Some(usual_ms) => usual_ms.midpoint(duration_ms),
        None => duration_ms,
    })
}

/// The key of a duration estimate. Runs with the same key are expected to take as long.
pub fn duration_estimate_key(task: &Task) -> String {
    format!("{}#{}", task.task_type, name_key(&task.task_name))
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

    /// Takes a run out of the metrics after its head has expired: `expired` is the head that the
    /// store has removed. Once is the same as many times within two days.
    async fn subtract_expired(&self, expired: &Task) -> Result<(), StoreError>;

    /// Lists the runs of a task, the newest first: at most `limit` that began before `before`. Their
    /// `parts` are left out.
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

    /// Lists tasks, newest first: at most `limit` (1 to 200) after the position `after`.
    ///
    /// The list may miss the writes of the last moments. A page may have fewer tasks than `limit`,
    /// even none, and still have a next page: the search for rare tasks stops early, so that no
    /// request takes long.
    async fn list(
        &self,
        query: &TaskQuery,
        after: Option<&ListPosition>,
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

    /// Checks that the store can be reached.
    async fn ping(&self) -> Result<(), StoreError>;
}

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

    /// Lists all projects, by id. There are few.
    async fn list(&self) -> Result<Vec<Project>, StoreError>;

    /// Reads the metrics of all tasks, also of those without a project.
    async fn totals(&self) -> Result<Metrics, StoreError>;
}
