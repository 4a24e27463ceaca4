//! What an invocation did, in numbers.

use serde::Serialize;
use serde_json::Value;
use shared::batch::named_ids::RefusedIds;
use shared::ingest::IngestCounts;
use shared::log_parser::LineCounts;
use shared::model::Timestamp;
use tokio::time::Instant;
use tracing::{info, warn};

/// What an invocation did. Its JSON is the function's response; the names in it are documented in
/// `docs/metrics.md`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The trigger: `sweep`, `backfill`, `push`, `queue` or `stream`.
    pub trigger: &'static str,
    /// One entry per log group; empty for `stream`.
    pub groups: Vec<GroupSummary>,
    /// The events published; only set for `stream`, whose response has another form.
    #[serde(skip)]
    pub published: Option<PublishSummary>,
    /// The ids of the records that Lambda must pass again; only set for `queue`, whose response has
    /// another form.
    #[serde(skip)]
    pub failed_records: Option<Vec<String>>,
    /// Runs that ended because their logs were silent for long; only a sweep ends them.
    pub runs_silent: u64,
    /// Whether a log group could not be read, so the cache was refreshed from the store instead.
    pub fallback_used: bool,
    /// Duration in milliseconds.
    pub duration_ms: u64,
}

/// What an invocation did for one log group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct GroupSummary {
    /// The log group.
    pub log_group: String,
    /// Pages read; 0 for a push.
    pub pages: u64,
    /// Log events read.
    #[serde(rename = "events")]
    pub log_events: u64,
    /// Lines in the log events.
    pub lines: u64,
    /// Lines that report progress.
    pub lines_parsed: u64,
    /// Lines that look like progress but could not be parsed.
    pub parse_failures: u64,
    /// Tasks written.
    pub tasks_changed: u64,
    /// Tasks that can never be saved: their stored items are damaged, or the store refuses them.
    /// The log names them.
    pub tasks_refused: u64,
    /// Task ids beyond the limit of their log streams. Their lines count for the tasks of the
    /// streams. In JSON, this is their number.
    pub task_ids_refused: RefusedIds,
    /// Pushes that are too large. The next sweep reads the rest of them.
    pub pushes_cut: u64,
    /// Messages that can never be read. The log has the reasons.
    pub messages_refused: u64,
    /// Requests to CloudWatch Logs that were repeated.
    pub retries: u64,
    /// Writes that the cache failed.
    pub cache_errors: u64,
    /// Whether this log group could not be read, so the cache was refreshed from the store instead.
    pub fallback_used: bool,
    /// Whether everything was read and saved that had arrived in time. If not, the next run
    /// continues.
    pub complete: bool,
    /// The earliest time from which this sweep read all lines. Nothing is known of lines with an
    /// earlier time that arrived after they were last looked for. Absent for other triggers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_from: Option<Timestamp>,
    /// How far the log group has been read; absent if the trigger does not use checkpoints.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<Timestamp>,
    /// Milliseconds from the last log event read to now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag_ms: Option<u64>,
    /// Why reading ended early.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Whom a publisher tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PublishTarget {
    /// The event bus.
    #[default]
    Bus,
    /// Those who watch tasks now.
    Push,
}

/// What an invocation did with the records of the tasks table's stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PublishSummary {
    /// Whom it told.
    pub target: PublishTarget,
    /// Records that Lambda passed.
    pub records: u64,
    /// Records that can never be read. The log has the reason.
    pub unreadable: u64,
    /// Expired runs that were taken out of the metrics.
    pub expired: u64,
    /// Events that the sink accepted.
    pub sent: u64,
    /// Events that the sink did not accept now, and on the event bus all events after them. They
    /// will be sent again.
    pub failed: u64,
    /// Events that the sink will never accept. The log names them.
    pub rejected: u64,
    /// Requests to the sink.
    pub requests: u64,
    /// The sequence number of the first record that Lambda must pass again.
    pub retry_from: Option<String>,
}

impl GroupSummary {
    /// The summary of a log group at the start of an invocation.
    pub(crate) fn of(log_group: &str) -> Self {
        Self {
            log_group: log_group.to_owned(),
            ..Self::default()
        }
    }

    /// Counts one log event and its lines.
    pub(crate) fn count_event(&mut self, counts: LineCounts) {
        self.log_events += 1;
        self.lines += counts.lines;
        self.lines_parsed += counts.parsed;
        self.parse_failures += counts.failures;
    }

    /// Adds what was read and saved of another window of this log group, or of another log group.
    pub(crate) fn add(&mut self, other: &Self) {
        self.pages += other.pages;
        self.log_events += other.log_events;
        self.lines += other.lines;
        self.lines_parsed += other.lines_parsed;
        self.parse_failures += other.parse_failures;
        self.tasks_changed += other.tasks_changed;
        self.tasks_refused += other.tasks_refused;
        self.task_ids_refused.add_all(&other.task_ids_refused);
        self.pushes_cut += other.pushes_cut;
        self.messages_refused += other.messages_refused;
        self.retries += other.retries;
        self.cache_errors += other.cache_errors;
    }

    /// Adds the counts of a saved batch.
    pub(crate) fn count_saved(&mut self, counts: IngestCounts) {
        self.tasks_changed += counts.tasks_changed;
        self.tasks_refused += counts.tasks_refused;
        self.task_ids_refused.add_all(&counts.ids_refused);
        self.cache_errors += counts.cache_errors;
    }
}

impl PublishSummary {
    /// The summary of these records before anything is published.
    pub(crate) fn of(target: PublishTarget, records: &[Value]) -> Self {
        Self {
            target,
            records: count(records.len()),
            ..Self::default()
        }
    }
}

impl Summary {
    /// The summary of an invocation that read log groups.
    pub(crate) fn new(trigger: &'static str, groups: Vec<GroupSummary>) -> Self {
        Self {
            trigger,
            groups,
            ..Self::default()
        }
    }

    /// The summary of an invocation that read records, of which these failed.
    pub(crate) fn of_records(
        trigger: &'static str,
        group: GroupSummary,
        failed_records: Vec<String>,
    ) -> Self {
        Self {
            failed_records: Some(failed_records),
            ..Self::new(trigger, vec![group])
        }
    }

    /// The summary of an invocation that published events.
    pub(crate) fn of_publishing(trigger: &'static str, published: PublishSummary) -> Self {
        Self {
            trigger,
            published: Some(published),
            ..Self::default()
        }
    }

    /// Adds the time since `started`, and writes the log line of the invocation.
    pub(crate) fn ended(mut self, started: Instant) -> Self {
        self.duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.log();
        self
    }

    /// The sums over all log groups, and the longest lag. Complete if every group is complete.
    pub fn totals(&self) -> GroupSummary {
        let mut totals = GroupSummary {
            complete: true,
            ..GroupSummary::default()
        };
        for group in &self.groups {
            totals.add(group);
            totals.complete &= group.complete;
            totals.lag_ms = totals.lag_ms.max(group.lag_ms);
        }
        totals
    }

    /// Writes the log line of the invocation.
    fn log(&self) {
        if let Some(published) = &self.published {
            info!(
                trigger = self.trigger,
                target = ?published.target,
                records = published.records,
                unreadable = published.unreadable,
                expired = published.expired,
                events_sent = published.sent,
                events_failed = published.failed,
                events_rejected = published.rejected,
                requests = published.requests,
                duration_ms = self.duration_ms,
                "published"
            );
            return;
        }
        let totals = self.totals();
        for (origin, task_ids) in totals.task_ids_refused.by_stream() {
            warn!(
                log_group = origin.log_group,
                log_stream = origin.log_stream,
                task_ids,
                "a log stream names too many task ids: these lines count for the task of the stream"
            );
        }
        info!(
            trigger = self.trigger,
            pages = totals.pages,
            events = totals.log_events,
            lines = totals.lines,
            parse_failures = totals.parse_failures,
            tasks_changed = totals.tasks_changed,
            task_ids_refused = totals.task_ids_refused.count(),
            messages_refused = totals.messages_refused,
            retries = totals.retries,
            cache_errors = totals.cache_errors,
            lag_ms = totals.lag_ms,
            complete = totals.complete,
            runs_silent = self.runs_silent,
            fallback_used = self.fallback_used,
            duration_ms = self.duration_ms,
            "collected"
        );
    }
}

/// A length as a count.
pub(crate) fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
