//! What a ledger says of its task.

use std::collections::BTreeMap;

use super::LineKey;
use crate::model::{Part, Progress, TaskStatus};

/// Where a task stands by its logs.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The first line that was ever heard of the task.
    pub first: LineKey,
    /// The last one.
    pub last: LineKey,
    /// Where the present run started.
    pub start: LineKey,
    /// Which run this is: its start, or where its end was contradicted.
    pub run: LineKey,
    /// Where it ended.
    pub end: Option<LineKey>,
    /// Whether it runs, and how it ended.
    pub status: TaskStatus,
    /// How far it is.
    pub progress: Progress,
    /// What is being done.
    pub phase: Option<String>,
    /// The step an agent says it is at.
    pub current_step: Option<String>,
    /// The last line that mattered; the reason, when failed.
    pub message: Option<String>,
    /// The stacks that the log tells of, those of the present run first of all: each as it stands.
    pub parts: BTreeMap<String, Part>,
    /// What the run does, for people: `CDK Deploy · Api, Web`; `None` of an agent.
    pub title: Option<String>,
}
