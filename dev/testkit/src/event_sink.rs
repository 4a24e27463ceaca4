//! An event sink in memory.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use shared::event_sink::{EventSink, EventSinkError, MOST_DETAIL_BYTES, MOST_EVENTS, TaskEvent};

/// A sink that accepts and keeps all events. It checks the limits of a batch.
#[derive(Debug, Default)]
pub struct InMemoryEventSink {
    events: Mutex<Vec<TaskEvent>>,
}

impl InMemoryEventSink {
    /// All accepted events, in order. An event that was sent twice is there twice.
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
        let bytes: usize = events.iter().map(|event| event.detail.len()).sum();
        assert!(!events.is_empty() && events.len() <= MOST_EVENTS && bytes <= MOST_DETAIL_BYTES);
        let mut accepted = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        accepted.extend(events.iter().copied().cloned());
        Ok(events.iter().map(|_| Ok(())).collect())
    }
}
