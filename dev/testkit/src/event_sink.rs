//! Events in memory: a sink that takes all of them, for tests.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use shared::event_sink::{EventSink, EventSinkError, TaskEvent};

/// A sink that remembers what it was sent.
#[derive(Debug, Default)]
pub struct InMemoryEventSink {
    events: Mutex<Vec<TaskEvent>>,
}

impl InMemoryEventSink {
    /// All events that were taken, in their order; one that was sent twice is there twice.
    pub fn events(&self) -> Vec<TaskEvent> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.clone()
    }
}

#[async_trait]
impl EventSink for InMemoryEventSink {
    async fn send(
        &self,
        events: &[&TaskEvent],
    ) -> Result<Vec<Result<(), EventSinkError>>, EventSinkError> {
        let mut taken = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        taken.extend(events.iter().copied().cloned());
        Ok(events.iter().map(|_| Ok(())).collect())
    }
}
