//! Ledgers of one reading, by task, before they are saved.

use std::cell::LazyCell;
use std::collections::BTreeMap;

use crate::fold::{Ledger, LineKey, TaskOrigin};
use crate::log_event::LogEvent;
use crate::log_parser::{LineCounts, LogFormat, Observation, parse_message};
use crate::model::TaskId;

/// The most tasks that a batch gathers before it is full.
const MOST_TASKS: usize = 256;
/// The most text that a batch gathers before it is full, in bytes. A ledger takes a few times the length of
/// the lines that it keeps; repeated lines take no room.
const MOST_TEXT: usize = 4 * 1024 * 1024;

/// Which task a line belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// Where the line comes from.
    pub origin: TaskOrigin,
    /// The task that the line names; `None` if the line belongs to its stream's task.
    pub named: Option<TaskId>,
}

impl Target {
    /// The tasks that the target may be: the first one that exists, or else the last.
    pub fn candidates(&self) -> Vec<TaskId> {
        if let Some(named) = &self.named {
            return vec![named.clone()];
        }
        let stream = self.origin.log_stream.as_str();
        let reported = [stream.strip_prefix("task-"), Some(stream)]
            .into_iter()
            .flatten();
        let mut candidates: Vec<TaskId> = reported.filter_map(|id| id.parse().ok()).collect();
        candidates.push(id_of_stream(self.origin.format, stream));
        candidates
    }
}

/// Observations, folded by task. Memory grows with the number of tasks, not with the number of lines. It is
/// bounded if the batch is saved whenever it [is full](Self::is_full).
#[derive(Debug, Default)]
pub struct Batch {
    ledgers: BTreeMap<Target, Ledger>,
    /// Bytes of the messages that are in `ledgers`.
    text: usize,
}

impl Batch {
    /// Parses an event of a log group, adds what it says, and counts its lines.
    pub fn add(&mut self, format: LogFormat, log_group: &str, event: &LogEvent) -> LineCounts {
        // Most lines yield nothing: their key is computed only when it is needed.
        let first_line = LazyCell::new(|| LineKey::of(event, 0));
        let counts = parse_message(format, &event.message, &mut |line, observation| {
            let target = Target {
                origin: TaskOrigin {
                    format,
                    log_group: log_group.to_owned(),
                    log_stream: event.log_stream.clone(),
                },
                named: named_task(&observation),
            };
            let ledger = self.ledgers.entry(target).or_default();
            ledger.observe(first_line.with_line(line), &observation);
        });
        if counts.parsed > 0 {
            self.text = self.text.saturating_add(event.message.len());
        }
        counts
    }

    /// Whether the batch should be saved before more is added.
    pub fn is_full(&self) -> bool {
        self.ledgers.len() >= MOST_TASKS || self.text >= MOST_TEXT
    }

    /// Takes all ledgers and leaves the batch empty.
    pub fn take(&mut self) -> BTreeMap<Target, Ledger> {
        self.text = 0;
        std::mem::take(&mut self.ledgers)
    }
}

/// The task that a line names; `None` if its name is no valid id.
fn named_task(observation: &Observation) -> Option<TaskId> {
    match observation {
        Observation::Agent(observation) => observation.task_id.as_ref()?.parse().ok(),
        Observation::Cdk(_) => None,
    }
}

/// The id of a task that only its log stream knows: `cdk:<stream>` or `agent:<stream>`. A name that has
/// other characters or is too long is cut and gets a hash.
fn id_of_stream(format: LogFormat, stream: &str) -> TaskId {
    let prefix = format.id;
    format!("{prefix}:{stream}").parse().unwrap_or_else(|_| {
        let plain = |char: char| {
            if char.is_ascii_alphanumeric() || "._:-".contains(char) {
                char
            } else {
                '-'
            }
        };
        let readable: String = stream.chars().take(80).map(plain).collect();
        let hash = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, stream.as_bytes()).simple();
        let id = format!("{prefix}:{readable}:{hash}");
        id.parse().unwrap_or_else(|_| TaskId::random())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_stream_is_readable_unique_and_stable() {
        assert_eq!(
            id_of_stream(LogFormat::CDK, "build-7").as_str(),
            "cdk:build-7"
        );
        let (one, other) = ("2025/11/15/[$LATEST]a", "2025/11/15/[$LATEST]b");
        let id = id_of_stream(LogFormat::AGENT, one);
        assert!(id.as_str().starts_with("agent:2025-11-15--"), "{id}");
        assert_eq!(id, id_of_stream(LogFormat::AGENT, one));
        assert_ne!(id, id_of_stream(LogFormat::AGENT, other));
        for stream in ["", "ä", &"x".repeat(512)] {
            let id = id_of_stream(LogFormat::CDK, stream);
            assert_eq!(id, id_of_stream(LogFormat::CDK, stream), "{stream}");
        }
    }
}
