//! Where the transitions of tasks are told to others.

pub mod eventbridge;
mod task_event;

use async_trait::async_trait;

use crate::error::Source;

pub use task_event::{MOST_DETAIL_BYTES, TaskEvent};

/// The most events that a sink takes at once
/// (<https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html>).
pub const MOST_EVENTS: usize = 10;

/// Why events, or one of them, were not taken.
#[derive(Debug, thiserror::Error)]
pub enum EventSinkError {
    /// The sink can't be reached, is throttled, or failed inside: trying again may help.
    #[error("events can't be sent now")]
    Unavailable(#[source] Source),
    /// Refused for where they were to go or for who sends them: trying again will not help until someone changes that.
    #[error("sending events was refused")]
    Refused(#[source] Source),
    /// Refused for what they are: they will never be taken.
    #[error("what was sent is no valid event")]
    Invalid(#[source] Source),
}

impl EventSinkError {
    /// Whether the same request may succeed when it is repeated.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// Takes events.
#[async_trait]
pub trait EventSink: Send + Sync {
    /// Sends events in their order, at most [`MOST_EVENTS`] and [`MOST_DETAIL_BYTES`] of details in all. Does not
    /// retry.
    ///
    /// The outcome of each event is in its place, as a sink may take some and others not; an error is that of all.
    async fn send(
        &self,
        events: &[&TaskEvent],
    ) -> Result<Vec<Result<(), EventSinkError>>, EventSinkError>;
}
