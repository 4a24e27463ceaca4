//! Where tasks and projects are kept: the source of truth.

pub mod dynamodb;
pub(crate) mod dynamodb_item;
pub mod stream_record;
pub mod tables;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::checkpoint::CheckpointStore;
use crate::error::Source;
use crate::fold::Ledger;
use crate::model::{
    HistoryEntry, Project, ProjectId, Task, TaskId, TaskStatus, TaskType, Timestamp,
};

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store can't be reached, is throttled, or failed inside: trying again later may help.
    #[error("the store is unavailable during {operation}")]
    Unavailable {
        /// What was being done.
        operation: &'static str,
        /// What the store said.
        #[source]
        source: Source,
    },
    /// Another writer was faster: read again, and decide anew.
    #[error("{0} was changed by another writer")]
    Conflict(String),
    /// The store refused the request as such: trying again will not help.
    #[error("the store refused {operation}")]
    Refused {
        /// What was being done.
        operation: &'static str,
        /// What the store said.
        #[source]
        source: Source,
    },
    /// What is stored can't be read.
    #[error("the stored item of {id} is not valid")]
    Corrupt {
        /// The task or project.
        id: String,
        /// What is wrong with it.
        #[source]
        source: Source,
    },
}

/// A task with all that its logs have said.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskRecord {
    /// The task's identity.
    pub task_id: TaskId,
    /// The task's present state; `None` once it was deleted.
    pub task: Option<Task>,
    /// What the logs have said so far; empty for a task that no log reported yet. It outlasts the task, so
    /// that lines which are read later or again don't bring it back.
    pub ledger: Ledger,
}

/// What a request that made a task leaves behind, so that its repetition is answered like itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyRecord {
    /// What a repetition has in common with the request, at most 128 characters.
    pub key: String,
    /// A digest of what was asked for: a request of the same key and another digest is no repetition.
    pub digest: String,
    /// The task that was made.
    pub task_id: TaskId,
    /// The answer.
    pub answer: String,
    /// When the request was answered. The receipt is kept for [`IDEMPOTENCY_RECORD_LIFETIME`].
    pub made_at: Timestamp,
}

/// How long a receipt is kept.
pub const IDEMPOTENCY_RECORD_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Which tasks a list is of. Empty sets mean "any".
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct TaskQuery {
    /// Tasks with one of these statuses.
    pub statuses: Vec<TaskStatus>,
    /// Tasks of one of these types.
    pub task_types: Vec<TaskType>,
    /// Tasks of this project.
    pub project_id: Option<ProjectId>,
    /// Tasks whose name begins like this, in capitals or not.
    pub name_prefix: Option<String>,
    /// Tasks that were changed later than this.
    pub updated_after: Option<Timestamp>,
}

impl TaskQuery {
    /// Whether `task` is one of those asked for.
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

/// A name as names are compared: capitals make no difference.
pub(crate) fn name_key(name: &str) -> String {
    name.to_lowercase()
}

/// Where a task stands in the one order of all lists: by `updated_at`, then by id; newest first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListPosition {
    /// The task's `updated_at`.
    pub updated_at: Timestamp,
    /// The task.
    pub task_id: TaskId,
}

impl ListPosition {
    /// Where `task` stands.
    pub fn of(task: &Task) -> Self {
        Self {
            updated_at: task.updated_at,
            task_id: task.task_id.clone(),
        }
    }
}

/// One page of a list of tasks.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TaskPage {
    /// The tasks, newest first.
    pub tasks: Vec<Task>,
    /// After which position the next page begins; `None` if there is none. No task need stand there.
    pub next: Option<ListPosition>,
}

/// How long runs like `next` usually take, as its write over `previous` tells; `None` if it tells nothing.
pub fn usual_duration_after(previous: Option<&Task>, next: &Task) -> Option<u64> {
    let completed = |task: &Task| task.status == TaskStatus::Completed;
    let was_completed =
        previous.is_some_and(|previous| completed(previous) && previous.run == next.run);
    let duration_ms = next.duration_ms.filter(|duration_ms| *duration_ms > 0)?;
    (completed(next) && !was_completed).then(|| match next.usual_duration_ms {
        Some(usual_ms) => usual_ms.midpoint(duration_ms),
        None => duration_ms,
    })
}

/// What runs have in common that are expected to take as long.
pub fn pace_key(task: &Task) -> String {
    format!("{}#{}", task.task_type, name_key(&task.task_name))
}

/// The durable record of tasks.
#[async_trait]
pub trait TaskStore: Send + Sync {
    /// Reads a task, strongly consistent; `None` if there is none.
    async fn fetch(&self, task_id: &TaskId) -> Result<Option<Task>, StoreError>;

    /// Reads tasks with their ledgers, strongly consistent, in any order; those that never existed are
    /// left out.
    async fn fetch_records(&self, task_ids: &[TaskId]) -> Result<Vec<TaskRecord>, StoreError>;

    /// Writes a task, its history, and the metrics of its project, all or nothing. If a run completes by
    /// it, the store remembers how long such runs take.
    ///
    /// `previous` is the state that was read (`None`: the task must not exist); `next.revision` is one
    /// more. A `ledger` replaces the stored one; `None` leaves it as it is. Who makes a task by its logs has to know
    /// of its last deletion: that is in the `ledger`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] if the stored task is no longer `previous`, or was deleted since the ledger was read.
    async fn save(
        &self,
        previous: Option<&Task>,
        next: &Task,
        ledger: Option<&Ledger>,
    ) -> Result<(), StoreError>;

    /// Writes a new task together with `receipt`, all or nothing. If a receipt of the same key is there
    /// already, nothing is written, and that one is returned.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] if the task exists and there is no such receipt.
    async fn create(
        &self,
        task: &Task,
        receipt: &IdempotencyRecord,
    ) -> Result<Option<IdempotencyRecord>, StoreError>;

    /// Deletes a task with its history, and takes it out of the metrics of its project. `previous` is the
    /// state that was read; `ledger` is left, with what logs have said until then and that it was deleted.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] if the stored task is no longer `previous`. If it is an error while history
    /// is deleted, the task is gone already and the rest of its history will expire.
    async fn delete(&self, previous: &Task, ledger: &Ledger) -> Result<(), StoreError>;

    /// Keeps what logs have said of a task after it was deleted: of a later run one reading may tell only a part, which
    /// alone makes no task. The deletion that `ledger` was read with counts one revision more from then on.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] if it is no longer the last one, or what logs have said was kept since.
    async fn save_deleted(&self, task_id: &TaskId, ledger: &Ledger) -> Result<(), StoreError>;

    /// How long runs like `task` have taken: of the same type and name, completed, the mean of the last
    /// with the earlier ones' mean, in milliseconds; `None` if there were none within 90 days.
    async fn usual_duration_ms(&self, task: &Task) -> Result<Option<u64>, StoreError>;

    /// Lists tasks newest first: at most `limit` (1 to 200) of those that stand after `after`.
    ///
    /// The list is complete but for writes of the last moments. A page may have fewer tasks than `limit`,
    /// even none, and still have a next one: where few of many tasks are asked for, looking for them ends
    /// after a while, so that no request takes long.
    async fn list(
        &self,
        query: &TaskQuery,
        after: Option<&ListPosition>,
        limit: usize,
    ) -> Result<TaskPage, StoreError>;

    /// Lists a task's history oldest first: at most `limit` entries later than `after`, none later
    /// than `until`.
    async fn history(
        &self,
        task_id: &TaskId,
        after: Option<Timestamp>,
        until: Option<Timestamp>,
        limit: usize,
    ) -> Result<Vec<HistoryEntry>, StoreError>;

    /// Answers if the store can be reached.
    async fn ping(&self) -> Result<(), StoreError>;
}

/// The durable record of projects.
#[async_trait]
pub trait ProjectStore: Send + Sync {
    /// Reads a project; `None` if there is none.
    async fn fetch(&self, project_id: &ProjectId) -> Result<Option<Project>, StoreError>;

    /// Makes a project. Its metrics are those of the tasks that name it already, whatever `project`
    /// says.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] if it exists.
    async fn create(&self, project: &Project) -> Result<(), StoreError>;

    /// Writes what a project is; its metrics stay those of its tasks. `previous` is the state that was read,
    /// and `next.revision` is one more.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] if the stored project is no longer of the revision of `previous`.
    async fn update(&self, previous: &Project, next: &Project) -> Result<(), StoreError>;

    /// All projects, by id. Projects are few.
    async fn list(&self) -> Result<Vec<Project>, StoreError>;
}

/// The stores of one database.
#[derive(Clone)]
pub struct Stores {
    /// Tasks.
    pub tasks: Arc<dyn TaskStore>,
    /// Projects, whose metrics follow `tasks`.
    pub projects: Arc<dyn ProjectStore>,
    /// Checkpoints.
    pub checkpoints: Arc<dyn CheckpointStore>,
}
