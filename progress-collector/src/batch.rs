//! What the events of one invocation say, by task, before it is saved.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};

use shared::fold::{Ledger, Position, TaskOrigin};
use shared::log_parser::{LogKind, Observation, parse_message};
use shared::log_source::LogEvent;
use shared::model::TaskId;

use crate::summary::GroupSummary;

/// Tasks gathered before they are saved.
const MOST_TASKS: usize = 256;
/// Text gathered before it is saved, in bytes. Many lines say the same thing again and take no room in a ledger; of
/// those that do, a ledger holds a few times their length at most.
const MOST_TEXT: usize = 4 * 1024 * 1024;

/// Which task a line is of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Target {
    /// Where the line comes from.
    pub(crate) origin: TaskOrigin,
    /// The task, where the line names it; otherwise it is the stream's.
    pub(crate) named: Option<TaskId>,
}

/// Observations, folded by task. Memory follows the number of tasks, not that of lines, and has a bound where a
/// batch is saved once it [is full](Self::is_full).
#[derive(Debug, Default)]
pub(crate) struct Batch {
    ledgers: BTreeMap<Target, Ledger>,
    /// Bytes of the messages that are in `ledgers`.
    text: usize,
    /// Whether to remember which targets were saved.
    remembers: bool,
    /// What was saved, for [`Self::whole_logs`].
    saved: BTreeSet<Target>,
}

impl Batch {
    /// An empty batch. Only one that `remembers` what was saved can mark it as whole; its memory follows the number
    /// of all tasks.
    pub(crate) fn new(remembers: bool) -> Self {
        Self {
            remembers,
            ..Self::default()
        }
    }

    /// Adds what an event of a log group says, and counts its lines.
    pub(crate) fn add(
        &mut self,
        kind: LogKind,
        log_group: &str,
        event: &LogEvent,
        summary: &mut GroupSummary,
    ) {
        // Most lines say nothing: their place is not asked for.
        let first_line = LazyCell::new(|| Position::of(event, 0));
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
        if counts.parsed > 0 {
            self.text = self.text.saturating_add(event.message.len());
        }
        summary.events += 1;
        summary.lines += counts.lines;
        summary.lines_parsed += counts.parsed;
        summary.parse_failures += counts.failures;
    }

    /// Whether it is time to save what was gathered.
    pub(crate) fn is_full(&self) -> bool {
        self.ledgers.len() >= MOST_TASKS || self.text >= MOST_TEXT
    }

    /// What was gathered, leaving nothing.
    pub(crate) fn take(&mut self) -> Vec<(Target, Ledger)> {
        self.text = 0;
        let gathered: Vec<_> = std::mem::take(&mut self.ledgers).into_iter().collect();
        if self.remembers {
            let targets = gathered.iter().map(|(target, _)| target.clone());
            self.saved.extend(targets);
        }
        gathered
    }

    /// Batches that say of everything saved so far, if that was remembered, that its logs are whole: see
    /// [`Ledger::mark_whole_log`].
    pub(crate) fn whole_logs(self) -> impl Iterator<Item = Self> {
        let mut targets = self.saved.into_iter().peekable();
        std::iter::from_fn(move || {
            targets.peek()?;
            let portion = targets.by_ref().take(MOST_TASKS);
            let marked = portion.map(|target| {
                let mut ledger = Ledger::default();
                ledger.mark_whole_log();
                (target, ledger)
            });
            Some(Self {
                ledgers: marked.collect(),
                ..Self::default()
            })
        })
    }
}

/// The task that a line names. A name that can't be an id names none.
fn named_task(observation: &Observation) -> Option<TaskId> {
    match observation {
        Observation::Agent(observation) => observation.task_id.as_ref()?.parse().ok(),
        Observation::Cdk(_) => None,
    }
}
