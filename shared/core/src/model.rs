//! The records of the system: tasks, projects, and their fields. No I/O, no clock.

mod agent;
mod context;
mod failure;
mod ids;
mod project;
#[cfg(any(test, feature = "properties"))]
pub mod properties;
mod task;
mod timestamp;
mod transition;

pub use agent::{Agent, TodoItem, TodoStatus};
pub use context::{Context, MAX_CONTEXT_CHARS};
pub use failure::{Failure, MAX_CAUSE_BYTES, MAX_FAILURE_NAME_BYTES};
pub use ids::{InvalidId, InvalidRecordId, ProjectId, RecordId, Revision, RunId, TaskId};
pub use project::{Metrics, MetricsDelta, Project, ProjectStatus};
pub use task::{
    HistoryEntry, MAX_LISTED_METADATA_BYTES, MAX_MESSAGE_BYTES, MAX_METADATA_BYTES, MAX_NAME_CHARS,
    Part, Priority, Progress, Task, TaskStatus, TaskType, UnknownValue,
};
pub use timestamp::{InvalidTimestamp, Timestamp};
pub use transition::Transition;
