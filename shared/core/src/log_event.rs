//! The log event, the same for every log source.

use crate::model::Timestamp;

/// An event may be this much later than its ingestion, in milliseconds, because clocks differ. One
/// that is later counts as of its ingestion.
pub(crate) const MOST_AHEAD_MS: u64 = 60_000;

/// One log event: a message of one or more lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEvent {
    /// The log stream that the event belongs to.
    pub log_stream: String,
    /// The event time, as the writer of the log gave it.
    pub timestamp: Timestamp,
    /// When the log service got the event, or when this process did.
    pub ingested_at: Timestamp,
    /// Unique within the log group. Of two events in one stream and millisecond, the later one has
    /// the higher id.
    pub event_id: String,
    /// The message text.
    pub message: String,
}
