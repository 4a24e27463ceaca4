//! The stores of tasks and projects: the source of truth.

pub mod dynamodb;
pub(crate) mod dynamodb_item;
pub(crate) mod error;
pub mod stream_record;
pub mod tables;

use std::time::Duration;

use async_trait::async_trait;

use crate::fold::Ledger;
use crate::model::{
    HistoryEntry, Project, ProjectId, Task, TaskId, TaskStatus, TaskType, Timestamp,
};

pub use error::StoreError;

/// A task with its ledger.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskRecord {
    /// The task's id.
    pub task_id: TaskId,
    /// The task; `None` once it was deleted.
    pub task: Option<Task>,
    /// All observations from the task's logs; empty if no log reported it. The ledger outlives the
    /// task, so that late or repeated lines do not create the task again.
    pub ledger: Ledger,
}

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

/// A task's position in the order of all lists: by `updated_at`, then by id, newest first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListPosition {
    /// The task's `updated_at`.
    pub updated_at: Timestamp,
    /// The task's id.
    pub task_id: TaskId,
}

impl ListPosition {
    /// The position of `task`.
    pub fn of(task: &Task) -> Self {
        Self {
            updated_at: task.updated_at,
            task_id: task.task_id.clone(),
        }
    }
}

/// One page of a task list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TaskPage {
    /// The tasks, newest first.
    pub tasks: Vec<Task>,
    /// The position after which the next page begins; `None` on the last page. There need not be a
    /// task at this position.
    pub next: Option<ListPosition>,
}

/// The new duration estimate after `next` was written over `previous`; `None` if the write
/// completes no run.
pub fn duration_estimate_after(previous: Option<&Task>, next: &Task) -> Option<u64> {
    let completed = |task: &Task| task.status == TaskStatus::Completed;
    let was_completed =
        previous.is_some_and(|previous| completed(previous) && previous.run == next.run);
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
    /// Reads a task, strongly consistent; `None` if there is none.
    async fn fetch(&self, task_id: &TaskId) -> Result<Option<Task>, StoreError>;

    /// Reads tasks with their ledgers, strongly consistent, in any order. Tasks that never existed
    /// are left out.
    async fn fetch_records(&self, task_ids: &[TaskId]) -> Result<Vec<TaskRecord>, StoreError>;

    /// Writes a task, its history, and the metrics of its project, all or nothing. If the write
    /// completes a run, it also updates the duration estimate.
    ///
    /// `previous` is the state that was read (`None`: the task must not exist), and `next.revision`
    /// is one more. `ledger` replaces the stored ledger; `None` keeps it. A caller that creates a
    /// task from logs must know its last deletion, which is in the ledger.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] if the stored task is no longer `previous`, or if it was deleted
    /// after the ledger was read.
    async fn save(
        &self,
        previous: Option<&Task>,
        next: &Task,
        ledger: Option<&Ledger>,
    ) -> Result<(), StoreError>;

    /// Writes a new task together with `record`, all or nothing. If a record with this key exists,
    /// writes nothing and returns that record.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] if the task exists and no such record does.
    async fn create(
        &self,
        task: &Task,
        record: &IdempotencyRecord,
    ) -> Result<Option<IdempotencyRecord>, StoreError>;

    /// Deletes a task and its history, and takes it out of the metrics of its project. `previous`
    /// is the state that was read. `ledger` stays stored: it has all observations until then, and
    /// the deletion.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] if the stored task is no longer `previous`. After an error during
    /// the deletion of the history, the task is gone, and the rest of its history will expire.
    async fn delete(&self, previous: &Task, ledger: &Ledger) -> Result<(), StoreError>;

    /// Saves the ledger of a deleted task. One reading may show only part of a later run, which is
    /// not enough to create a task. The revision of the deletion in `ledger` grows by one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] if that deletion is no longer the last one, or if the ledger was
    /// saved by another writer since.
    async fn save_deleted(&self, task_id: &TaskId, ledger: &Ledger) -> Result<(), StoreError>;

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

    /// Lists a task's history, oldest first: at most `limit` entries later than `after`, none later
    /// than `until`.
    async fn history(
        &self,
        task_id: &TaskId,
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
}
