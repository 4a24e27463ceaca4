//! Where tasks and projects are kept: the source of truth.

#[cfg(any(test, feature = "test-util"))]
pub mod conformance;
pub mod dynamodb;
pub(crate) mod dynamodb_item;
#[cfg(feature = "embedded")]
pub mod embedded;
#[cfg(any(test, feature = "test-util"))]
pub mod faulty;
#[cfg(any(test, feature = "test-util"))]
pub mod memory;
#[cfg(any(test, feature = "test-util"))]
pub mod tables;

use async_trait::async_trait;

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
    /// The task's present state.
    pub task: Task,
    /// What the logs have said so far; empty for a task that no log reported yet.
    pub ledger: Ledger,
}

/// Which tasks a list is of. Empty sets mean "any".
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct TaskQuery {
    /// Tasks with one of these statuses.
    pub statuses: Vec<TaskStatus>,
    /// Tasks of one of these types.
    pub task_types: Vec<TaskType>,
    /// Tasks of this project.
    pub project_id: Option<ProjectId>,
}

impl TaskQuery {
    /// Whether `task` is one of those asked for.
    pub fn matches(&self, task: &Task) -> bool {
        (self.statuses.is_empty() || self.statuses.contains(&task.status))
            && (self.task_types.is_empty() || self.task_types.contains(&task.task_type))
            && (self.project_id.is_none() || self.project_id == task.project_id)
    }
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

/// The durable record of tasks.
#[async_trait]
pub trait TaskStore: Send + Sync {
    /// Reads a task, strongly consistent; `None` if there is none.
    async fn fetch(&self, task_id: &TaskId) -> Result<Option<Task>, StoreError>;

    /// Reads tasks with their ledgers, strongly consistent, in any order; those that do not exist are
    /// left out.
    async fn fetch_records(&self, task_ids: &[TaskId]) -> Result<Vec<TaskRecord>, StoreError>;

    /// Writes a task, its history, and the metrics of its project, all or nothing.
    ///
    /// `previous` is the state that was read (`None`: the task must not exist); `next.revision` is one
    /// more. A `ledger` replaces the stored one; `None` leaves it as it is.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] if the stored task is no longer `previous`.
    async fn save(
        &self,
        previous: Option<&Task>,
        next: &Task,
        ledger: Option<&Ledger>,
    ) -> Result<(), StoreError>;

    /// Lists tasks newest first: at most `limit` (1 to 200) of those that stand after `after`.
    ///
    /// The list is complete but for writes of the last moments. There is a next page if it is full.
    async fn list(
        &self,
        query: &TaskQuery,
        after: Option<&ListPosition>,
        limit: usize,
    ) -> Result<Vec<Task>, StoreError>;

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

    /// All projects, by id. Projects are few.
    async fn list(&self) -> Result<Vec<Project>, StoreError>;
}
