//! What the events of one invocation say, by task, before it is saved.

use std::collections::BTreeMap;

use shared::fold::{Ledger, Position, TaskOrigin};
use shared::log_parser::{LogKind, Observation, parse_message};
use shared::log_source::LogEvent;
use shared::model::TaskId;

use crate::summary::GroupSummary;

/// Which task a line is of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Target {
    /// Where the line comes from.
    pub(crate) origin: TaskOrigin,
    /// The task, where the line names it; otherwise it is the stream's.
    pub(crate) named: Option<TaskId>,
}

/// Observations, folded by task. Memory follows the number of tasks, not that of lines.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    ledgers: BTreeMap<Target, Ledger>,
}

impl Batch {
    /// Adds what an event of a log group says, and counts its lines.
    pub(crate) fn add(
        &mut self,
        kind: LogKind,
        log_group: &str,
        event: &LogEvent,
        summary: &mut GroupSummary,
    ) {
        let first_line = Position::of(event, 0);
        let counts = parse_message(kind, &event.message, &mut |line, observation| {
            let target = Target {
                origin: TaskOrigin {
                    kind,
                    log_group: log_group.to_owned(),
                    log_stream: event.log_stream.clone(),
                },
                named: named_task(&observation),
            };
            let ledger = self.ledgers.entry(target).or_default();
            ledger.observe(first_line.with_line(line), &observation);
        });
        summary.events += 1;
        summary.lines += counts.lines;
        summary.lines_parsed += counts.parsed;
        summary.parse_failures += counts.failures;
    }

    /// Notes that the logs are whole: see [`Ledger::mark_whole_log`].
    pub(crate) fn mark_whole_logs(&mut self) {
        self.ledgers.values_mut().for_each(Ledger::mark_whole_log);
    }

    /// How many tasks are waiting to be saved.
    pub(crate) fn len(&self) -> usize {
        self.ledgers.len()
    }

    /// What was gathered, leaving nothing.
    pub(crate) fn take(&mut self) -> Vec<(Target, Ledger)> {
        std::mem::take(&mut self.ledgers).into_iter().collect()
    }
}

/// The task that a line names. A name that can't be an id names none.
fn named_task(observation: &Observation) -> Option<TaskId> {
    match observation {
        Observation::Agent(observation) => observation.task_id.as_ref()?.parse().ok(),
        Observation::Cdk(_) => None,
    }
}
