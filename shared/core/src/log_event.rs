//! The log event, the same for every log source.

use crate::model::Timestamp;

/// One log event: a message of one or more lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEvent {
    /// The log stream that the event belongs to.
    pub log_stream: String,
    /// The event time.
    pub timestamp: Timestamp,
    /// Unique within the log group. Of two events in one stream and millisecond, the later one has
    /// the higher id.
    pub event_id: String,
    /// The message text.
    pub message: String,
}
