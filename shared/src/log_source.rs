//! Sources of log events.

mod cloudwatch;
mod tail;

pub use cloudwatch::CloudWatchLogSource;
pub use tail::CloudWatchTailSource;

use async_trait::async_trait;

use crate::error::Source;
use crate::log_event::LogEvent;
use crate::log_tail::TailLine;
use crate::model::Timestamp;

/// A request for one page of the events in a time window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest<'a> {
    /// The log group.
    pub log_group: &'a str,
    /// The first moment of the window.
    pub start: Timestamp,
    /// The last moment of the window, included.
    pub end: Timestamp,
    /// The `next_token` of the previous page; `None` for the first page.
    pub next_token: Option<&'a str>,
}

/// A page of events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogPage {
    /// The events. A page may be empty although more pages follow.
    pub events: Vec<LogEvent>,
    /// The token of the next page; `None` on the last page.
    pub next_token: Option<String>,
}

/// A request for the last lines of a log stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TailRequest<'a> {
    /// The log group.
    pub log_group: &'a str,
    /// The log stream.
    pub log_stream: &'a str,
    /// The time of the first line that may be in it.
    pub start: Timestamp,
    /// The time of the last line that may be in it.
    pub end: Timestamp,
}

/// Why lines could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LogSourceError {
    /// The log group does not exist (yet). Callers treat it as empty.
    #[error("log group {0} does not exist")]
    GroupNotFound(String),
    /// Throttled, timed out, or failed inside. A later attempt may succeed.
    #[error("log group {log_group} can't be read now")]
    Unavailable {
        /// The log group.
        log_group: String,
        /// The cause.
        #[source]
        source: Source,
    },
    /// The request or the caller was refused. Another attempt will not help.
    #[error("reading log group {log_group} was refused")]
    Refused {
        /// The log group.
        log_group: String,
        /// The cause.
        #[source]
        source: Source,
    },
}

impl LogSourceError {
    /// Whether the same request may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

/// Reads log events.
#[async_trait]
pub trait LogSource: Send + Sync {
    /// Reads one page, without retries.
    async fn fetch_page(&self, request: PageRequest<'_>) -> Result<LogPage, LogSourceError>;
}

/// Reads the end of a log stream.
#[async_trait]
pub trait TailSource: Send + Sync {
    /// The last lines, oldest first: at most [`MOST_TAIL_LINES`](crate::log_tail::MOST_TAIL_LINES).
    ///
    /// # Errors
    ///
    /// [`LogSourceError`]. A stream that does not exist is [`LogSourceError::GroupNotFound`], too.
    async fn fetch_tail(&self, request: TailRequest<'_>) -> Result<Vec<TailLine>, LogSourceError>;
}
