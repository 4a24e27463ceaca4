//! Where events about tasks are published.

pub mod eventbridge;
mod task_event;

use async_trait::async_trait;

use crate::error::Source;

pub use task_event::{MOST_DETAIL_BYTES, TaskEvent};

/// The most events in one request
/// (<https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html>).
pub const MOST_EVENTS: usize = 10;

/// Why the sink did not accept events, or one of them.
#[derive(Debug, thiserror::Error)]
pub enum EventSinkError {
    /// The sink can't be reached, is throttled, or failed inside. A later attempt may succeed.
    #[error("events can't be sent now")]
    Unavailable(#[source] Source),
    /// The destination or the caller was refused. Attempts fail until someone changes the
    /// configuration.
    #[error("sending events was refused")]
    Refused(#[source] Source),
    /// The event itself was refused. It will never be accepted.
    #[error("the event is not valid")]
    Invalid(#[source] Source),
}

impl EventSinkError {
    /// Whether the same request may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// Publishes events about tasks.
#[async_trait]
pub trait EventSink: Send + Sync {
    /// Sends events in their order, without retries: at most [`MOST_EVENTS`], with at most
    /// [`MOST_DETAIL_BYTES`] of details in all.
    ///
    /// Returns the outcome of each event in the same order, because a sink may accept some of them
    /// only. An error concerns the whole request.
    async fn send(
        &self,
        bus_events: &[&TaskEvent],
    ) -> Result<Vec<Result<(), EventSinkError>>, EventSinkError>;
}
