//! What an invocation has done, as it answers.

use serde::Serialize;
use shared::ingest::IngestCounts;
use shared::log_parser::LineCounts;
use shared::model::Timestamp;

/// What an invocation has done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// `sweep`, `backfill`, `push` or `stream`.
    pub trigger: &'static str,
    /// What was done for each log group; none for a stream.
    pub groups: Vec<GroupSummary>,
    /// What was done for the records of a stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<EventsSummary>,
    /// Whether some log group could not be read, so that the cache was refreshed from the store instead.
    pub fallback_used: bool,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
}

/// What was done for one log group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct GroupSummary {
    /// The log group.
    pub log_group: String,
    /// Pages read; none of what is pushed.
    pub pages: u64,
    /// Log events read.
    pub events: u64,
    /// Lines in them.
    pub lines: u64,
    /// Lines that said something of progress.
    pub lines_parsed: u64,
    /// Lines that were ours but broken.
    pub parse_failures: u64,
    /// Tasks written.
    pub tasks_changed: u64,
    /// Tasks that could not be saved and never will be, as their stored items are damaged or the store
    /// refuses them. The log says which.
    pub tasks_refused: u64,
    /// Requests that were repeated.
    pub retries: u64,
    /// Writes that the cache did not take.
    pub cache_errors: u64,
    /// Whether the log group could not be read, so that the cache was refreshed from the store instead.
    pub fallback_used: bool,
    /// Whether all that was asked for was read and saved; otherwise it was cut short, and the next run goes on.
    pub complete: bool,
    /// How far the log group has been read; absent where checkpoints are not touched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<Timestamp>,
    /// Milliseconds between the last event read and now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag_ms: Option<u64>,
    /// Why reading has ended early.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What was done for the records of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct EventsSummary {
    /// Records that were handed over.
    pub records: u64,
    /// Records that can't be read, now or later. The log says why.
    pub unreadable: u64,
    /// Events that were taken.
    pub sent: u64,
    /// Events that were not taken now, those after them included: they will be sent again.
    pub failed: u64,
    /// Events that will never be taken. The log says which.
    pub rejected: u64,
    /// Requests that were made.
    pub requests: u64,
    /// The sequence number from which on Lambda has to hand records over again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub again_from: Option<String>,
}

impl GroupSummary {
    /// The summary of a log group with which nothing was done yet.
    pub(crate) fn of(log_group: &str) -> Self {
        Self {
            log_group: log_group.to_owned(),
            ..Self::default()
        }
    }

    /// Counts the lines of one more event.
    pub(crate) fn count_event(&mut self, counts: LineCounts) {
        self.events += 1;
        self.lines += counts.lines;
        self.lines_parsed += counts.parsed;
        self.parse_failures += counts.failures;
    }

    /// Counts what became of a saved batch.
    pub(crate) fn count_saved(&mut self, counts: IngestCounts) {
        self.tasks_changed += counts.tasks_changed;
        self.tasks_refused += counts.tasks_refused;
        self.cache_errors += counts.cache_errors;
    }
}

impl Summary {
    pub(crate) fn new(trigger: &'static str, groups: Vec<GroupSummary>) -> Self {
        Self {
            trigger,
            groups,
            ..Self::default()
        }
    }

    pub(crate) fn of_events(events: EventsSummary) -> Self {
        Self {
            trigger: "stream",
            events: Some(events),
            ..Self::default()
        }
    }

    /// The sums over all log groups, and the longest lag; complete if each is.
    pub fn totals(&self) -> GroupSummary {
        let mut totals = GroupSummary {
            complete: true,
            ..GroupSummary::default()
        };
        for group in &self.groups {
            totals.pages += group.pages;
            totals.events += group.events;
            totals.lines += group.lines;
            totals.lines_parsed += group.lines_parsed;
            totals.parse_failures += group.parse_failures;
            totals.tasks_changed += group.tasks_changed;
            totals.tasks_refused += group.tasks_refused;
            totals.retries += group.retries;
            totals.cache_errors += group.cache_errors;
            totals.complete &= group.complete;
            totals.lag_ms = totals.lag_ms.max(group.lag_ms);
        }
        totals
    }
}
