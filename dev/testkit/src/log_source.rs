//! A log source in memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use shared::log_event::LogEvent;
use shared::log_source::{
    LogPage, LogSource, LogSourceError, PageRequest, TailRequest, TailSource,
};
use shared::log_tail::{TailLine, TailPart};

/// Log groups in memory. A log group without a call of [`put`](Self::put) does not exist.
#[derive(Debug)]
pub struct InMemoryLogSource {
    groups: Mutex<BTreeMap<String, Vec<LogEvent>>>,
    page_size: usize,
}

impl InMemoryLogSource {
    /// A source without log groups. Its pages have at most `page_size` events (at least 1).
    pub fn new(page_size: usize) -> Self {
        Self {
            groups: Mutex::default(),
            page_size: page_size.max(1),
        }
    }

    /// Adds events to a log group, and creates it if necessary.
    pub fn put(&self, log_group: &str, events: impl IntoIterator<Item = LogEvent>) {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        let group = groups.entry(log_group.to_owned()).or_default();
        group.extend(events);
        group.sort_by(|one, other| {
            (one.timestamp, &one.event_id).cmp(&(other.timestamp, &other.event_id))
        });
    }
}

#[async_trait]
impl LogSource for InMemoryLogSource {
    async fn fetch_page(&self, request: PageRequest<'_>) -> Result<LogPage, LogSourceError> {
        let groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        let group = groups
            .get(request.log_group)
            .ok_or_else(|| LogSourceError::GroupNotFound(request.log_group.to_owned()))?;
        let skipped = request
            .next_token
            .and_then(|token| token.parse().ok())
            .unwrap_or(0);
        let in_window =
            |event: &&LogEvent| (request.start..=request.end).contains(&event.timestamp);
        let mut events = group.iter().filter(in_window).skip(skipped);
        let page: Vec<_> = events.by_ref().take(self.page_size).cloned().collect();
        let next_token = events.next().map(|_| (skipped + page.len()).to_string());
        Ok(LogPage {
            events: page,
            next_token,
        })
    }
}

#[async_trait]
impl TailSource for InMemoryLogSource {
    async fn fetch_tail(&self, request: TailRequest<'_>) -> Result<Vec<TailLine>, LogSourceError> {
        let groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        let group = groups
            .get(request.log_group)
            .ok_or_else(|| LogSourceError::GroupNotFound(request.log_group.to_owned()))?;
        let mut tail = TailPart::new(0);
        for event in group {
            let is_in_window = (request.start..=request.end).contains(&event.timestamp);
            if is_in_window && event.log_stream == request.log_stream {
                tail.push(event.timestamp, false, &event.message);
            }
        }
        Ok(tail.finish().lines)
    }
}
