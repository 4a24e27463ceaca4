//! A push sink in memory.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use shared::push_sink::{
    Channel, MOST_EVENTS, MOST_MESSAGE_BYTES, PushError, PushMessage, PushSink,
};

/// A sink that accepts and keeps all messages. It checks the limits of a request.
#[derive(Debug, Default)]
pub struct InMemoryPushSink {
    messages: Mutex<Vec<PushMessage>>,
}

impl InMemoryPushSink {
    /// All accepted messages, in order. A message that was sent twice is there twice.
    pub fn messages(&self) -> Vec<PushMessage> {
        let messages = self.messages.lock();
        messages.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl PushSink for InMemoryPushSink {
    async fn publish(
        &self,
        channel: &Channel,
        events: &[&str],
    ) -> Result<Vec<Result<(), PushError>>, PushError> {
        assert!((1..=MOST_EVENTS).contains(&events.len()));
        let accept = |event: &&str| {
            assert!(event.len() <= MOST_MESSAGE_BYTES);
            PushMessage {
                channel: channel.clone(),
                event: (*event).to_owned(),
            }
        };
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        messages.extend(events.iter().map(accept));
        Ok(events.iter().map(|_| Ok(())).collect())
    }
}
