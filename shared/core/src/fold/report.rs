//! What a ledger says of its task.

use std::collections::BTreeMap;

use super::ledger::Ledger;
use super::{LineKey, agent, stacks};
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

impl Report {
    /// The report of `ledger`; `None` while it tells of nothing that could be a task.
    pub fn of(ledger: &Ledger) -> Option<Self> {
        stacks::report(ledger).or_else(|| agent::report(ledger))
    }
}

/// Progress as a task may show it: 100 % on success alone.
pub(super) fn shown(progress: Progress, status: TaskStatus) -> Progress {
    let percentage = match status {
        TaskStatus::Completed => Some(100),
        _ => progress.percentage.map(|percentage| percentage.min(99)),
    };
    Progress {
        percentage,
        ..progress
    }
}
