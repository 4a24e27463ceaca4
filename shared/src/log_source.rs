//! Where log events come from.

mod cloudwatch;

pub use cloudwatch::CloudWatchLogSource;

use async_trait::async_trait;

use crate::error::Source;
use crate::log_event::LogEvent;
use crate::model::Timestamp;

/// Events of a time window, a page of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest<'a> {
    /// The log group.
    pub log_group: &'a str,
    /// The first moment of the window.
    pub start: Timestamp,
    /// The last moment of the window, included.
    pub end: Timestamp,
    /// What the page before gave as `next_token`; `None` for the first.
    pub next_token: Option<&'a str>,
}

/// A page of events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogPage {
    /// The events; may be none although there are more pages.
    pub events: Vec<LogEvent>,
    /// Set while there are more pages.
    pub next_token: Option<String>,
}

/// Why a source gave no page.
#[derive(Debug, thiserror::Error)]
pub enum LogSourceError {
    /// The log group does not exist (yet): as good as empty.
    #[error("log group {0} does not exist")]
    GroupNotFound(String),
    /// Throttled, timed out, or failed inside: trying again may help.
    #[error("log group {log_group} can't be read now")]
    Unavailable {
        /// The log group.
        log_group: String,
        /// What went wrong.
        #[source]
        source: Source,
    },
    /// Refused for what was asked or for who asked: trying again will not help.
    #[error("reading log group {log_group} was refused")]
    Refused {
        /// The log group.
        log_group: String,
        /// What went wrong.
        #[source]
        source: Source,
    },
}

impl LogSourceError {
    /// Whether the same request may succeed when it is repeated.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

/// Gives log events.
#[async_trait]
pub trait LogSource: Send + Sync {
    /// Reads one page. Does not retry.
    async fn fetch_page(&self, request: PageRequest<'_>) -> Result<LogPage, LogSourceError>;
}
