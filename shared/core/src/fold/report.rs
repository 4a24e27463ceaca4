//! The report: the state of a task as derived from its ledger.

use std::collections::BTreeMap;

use super::LineKey;
use crate::model::{Part, Progress, TaskStatus};

/// The state of a task, derived from its logs.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The first line of the task.
    pub first: LineKey,
    /// The last line of the task.
    pub last: LineKey,
    /// The start of the current run.
    pub start: LineKey,
    /// The identity of the current run: its start, or the line that overrode its end.
    pub run: LineKey,
    /// The end of the current run.
    pub end: Option<LineKey>,
    /// The status.
    pub status: TaskStatus,
    /// The progress.
    pub progress: Progress,
    /// The current activity.
    pub phase: Option<String>,
    /// The current step, as the agent names it.
    pub current_step: Option<String>,
    /// The last relevant line; the reason, if the task failed.
    pub message: Option<String>,
    /// The stacks in the log and their state, by name.
    pub parts: BTreeMap<String, Part>,
    /// A title for the run: `CDK Deploy · Api, Web`; `None` for an agent.
    pub title: Option<String>,
}
