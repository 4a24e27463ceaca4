//! Where changes of tasks are published for those who watch: live push.
//!
//! A subscriber gets messages, and cannot rely on any of them: one may be lost, late or doubled. So
//! each message has the whole state and its revision, and subscribers ask the API now and then.

pub mod appsync;
mod channel;
mod message;

use async_trait::async_trait;

use crate::error::Source;

pub use channel::Channel;
pub use message::{MOST_MESSAGE_BYTES, PushMessage, USUAL_ENTRY_BYTES, messages_of};

/// The most events in one request
/// (<https://docs.aws.amazon.com/appsync/latest/eventapi/publish-http.html>).
pub const MOST_EVENTS: usize = 5;

/// Why the sink did not accept events, or one of them.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The sink can't be reached, is throttled, or failed inside. A later attempt may succeed.
    #[error("messages can't be published now")]
    Unavailable(#[source] Source),
    /// The sink refused the caller or the message. Another attempt will not help.
    #[error("publishing messages was refused")]
    Refused(#[source] Source),
}

impl PushError {
    /// Whether the same request may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// Publishes messages to subscribers.
#[async_trait]
pub trait PushSink: Send + Sync {
    /// Publishes events on one channel, in their order, without retries: at most [`MOST_EVENTS`].
    ///
    /// Returns the outcome of each event in the same order, because a sink may accept some of them
    /// only. An error concerns the whole request.
    async fn publish(
        &self,
        channel: &Channel,
        events: &[&str],
    ) -> Result<Vec<Result<(), PushError>>, PushError>;
}
