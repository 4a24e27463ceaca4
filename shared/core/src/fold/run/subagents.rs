//! The sub-agents of an agent: the parts of its run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::fold::LineKey;
use crate::fold::progress::shown_progress;
use crate::log_parser::{Counter, SubagentReport};
use crate::model::{Part, Progress, TaskStatus};

/// The most sub-agents of a run that are kept. Later ones are ignored.
const MOST_SUBAGENTS: usize = 100;

/// The sub-agents of a run, by what identifies them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Subagents(BTreeMap<String, Subagent>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Subagent {
    name: String,
    start: LineKey,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end: Option<LineKey>,
    #[serde(rename = "s")]
    status: TaskStatus,
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    counter: Option<Counter>,
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

impl Subagents {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds what a line says about one. Only a line with a name can be the first.
    pub(super) fn see(&mut self, at: LineKey, report: &SubagentReport) {
        let is_full = self.0.len() >= MOST_SUBAGENTS;
        if !self.0.contains_key(&report.id) {
            let Some(name) = report.name.clone().filter(|_| !is_full) else {
                return;
            };
            let subagent = Subagent {
                name,
                start: at,
                end: None,
                status: TaskStatus::Running,
                counter: None,
                message: None,
            };
            self.0.insert(report.id.clone(), subagent);
        }
        let Some(known) = self.0.get_mut(&report.id) else {
            return;
        };
        // Terminal states are final.
        if let Some(status) = report.status.filter(|_| known.end.is_none()) {
            known.status = status;
            known.end = status.is_terminal().then_some(at);
        }
        known.counter = report.counter.or(known.counter);
        if report.message.is_some() {
            known.message.clone_from(&report.message);
        }
    }

    /// The parts of the run. Of two with one name, the later one has its id behind it.
    pub(super) fn parts(&self) -> BTreeMap<String, Part> {
        let mut subagents: Vec<_> = self.0.iter().collect();
        subagents.sort_by_key(|(_, subagent)| subagent.start);
        let mut parts = BTreeMap::new();
        for (id, subagent) in subagents {
            let name = match parts.contains_key(&subagent.name) {
                true => format!("{} ({id})", subagent.name),
                false => subagent.name.clone(),
            };
            parts.insert(name, subagent.part());
        }
        parts
    }
}

impl Subagent {
    fn part(&self) -> Part {
        let counter = self.counter.map(|counter| Progress {
            current: counter.current,
            total: counter.total,
            percentage: counter.percentage,
        });
        Part {
            progress: shown_progress(counter.unwrap_or_default(), self.status),
            status: self.status,
            phase: None,
            message: self.message.clone(),
            started_at: Some(self.start.time()),
            completed_at: self.end.map(LineKey::time),
        }
    }
}
