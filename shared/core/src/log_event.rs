//! Log events, as every source of logs gives them.

use crate::model::Timestamp;

/// One log event: one message of one or more lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEvent {
    /// The log stream that the event belongs to.
    pub log_stream: String,
    /// The event time.
    pub timestamp: Timestamp,
    /// Unique within the log group. Of two events of one stream and millisecond, the later one has the
    /// higher id.
    pub event_id: String,
    /// The text.
    pub message: String,
}
