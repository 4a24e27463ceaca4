//! The report: the state of a run as its lines tell it.

use std::collections::BTreeMap;

use super::LineKey;
use crate::model::{Agent, Failure, Part, Progress, TaskStatus};

/// The state of a run, without the edits of callers.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The first line or the creation.
    pub first: LineKey,
    /// The last line.
    pub last: LineKey,
    /// The first line; `None` if a caller created the run and no line is about it yet.
    pub start: Option<LineKey>,
    /// The end.
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
    /// Why the run failed, or why it rolls back.
    pub failure: Option<Failure>,
    /// The stacks in the log, or the sub-agents, and their state, by name.
    pub parts: BTreeMap<String, Part>,
    /// What the agent tells about itself.
    pub agent: Option<Agent>,
    /// The names of the stacks: `Api, Web`; `None` for an agent.
    pub title: Option<String>,
}
