//! Reading log groups: read, fold, save, then the checkpoint, within the deadline.

use std::time::Duration;

use futures::future::join_all;
use shared::checkpoint::Checkpoint;
use shared::error::error_chain;
use shared::log_source::{LogPage, LogSourceError, PageRequest};
use shared::model::Timestamp;
use shared::retry::with_retries;
use shared::store::StoreError;
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use crate::batch::Batch;
use crate::collector::{CollectError, Collector, LogGroup};
use crate::summary::{GroupSummary, Summary};

/// What is left of an invocation's time for saving what was read.
const TIME_TO_SAVE: Duration = Duration::from_secs(3);
/// Tasks gathered before they are saved, so that memory stays flat whatever the window.
const MOST_IN_BATCH: usize = 256;
/// The longest window that is read between two checkpoints: a long backlog is worked off piece by piece.
const SLICE: Duration = Duration::from_secs(3600);

/// A window of one log group.
struct Window<'a> {
    group: &'a LogGroup,
    start: Timestamp,
    end: Timestamp,
}

/// Why reading a window ended early.
enum Stopped {
    /// The invocation's time is over.
    OutOfTime,
    /// The log group can't be read.
    Unreadable(LogSourceError),
}

impl Collector {
    /// Reads every log group from its checkpoint, all side by side. The failure of one never loses what
    /// another has read.
    pub(crate) async fn sweep(
        &self,
        now: Timestamp,
        deadline: Option<Instant>,
    ) -> Result<Summary, CollectError> {
        let groups = self.config.groups.iter();
        let swept = join_all(groups.map(|group| self.sweep_group(group, now, deadline))).await;
        let mut summary = Summary::new("sweep", swept.into_iter().collect::<Result<_, _>>()?);
        if summary.groups.iter().any(|group| group.error.is_some()) {
            summary.fallback_used = true;
            self.refresh_cache(now, deadline, &mut summary).await?;
        }
        Ok(summary)
    }

    /// Reads a window of one log group. Checkpoints stay as they are.
    pub(crate) async fn backfill(
        &self,
        log_group: &str,
        start: Timestamp,
        end: Timestamp,
        now: Timestamp,
        deadline: Option<Instant>,
    ) -> Result<Summary, CollectError> {
        let mut summary = GroupSummary {
            log_group: log_group.to_owned(),
            ..GroupSummary::default()
        };
        if let Some(group) = self
            .config
            .groups
            .iter()
            .find(|group| group.name == log_group)
        {
            let window = Window { group, start, end };
            self.read_window(&window, now, deadline, &mut summary)
                .await?;
        } else {
            summary.error = Some("the log group is not configured".to_owned());
        }
        Ok(Summary::new("backfill", vec![summary]))
    }

    async fn sweep_group(
        &self,
        group: &LogGroup,
        now: Timestamp,
        deadline: Option<Instant>,
    ) -> Result<GroupSummary, StoreError> {
        let mut summary = GroupSummary {
            log_group: group.name.clone(),
            ..GroupSummary::default()
        };
        let held = self.parts.checkpoints.load(&group.name).await?;
        summary.checkpoint = held.map(|checkpoint| checkpoint.read_up_to);
        let before = |moment: Timestamp, duration: Duration| {
            let back = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
            Timestamp::from_millis(moment.as_millis().saturating_sub(back))
        };
        let mut start = match held {
            Some(checkpoint) => before(checkpoint.read_up_to.min(now), self.config.overlap),
            None => before(now, self.config.first_sweep),
        };
        loop {
            let slice = i64::try_from(SLICE.as_millis()).unwrap_or(i64::MAX);
            let end = now.min(Timestamp::from_millis(
                start.as_millis().saturating_add(slice),
            ));
            let window = Window { group, start, end };
            if !self
                .read_window(&window, now, deadline, &mut summary)
                .await?
            {
                return Ok(summary);
            }
            let checkpoint = Checkpoint {
                read_up_to: end,
                saved_at: now,
            };
            self.parts.checkpoints.save(&group.name, checkpoint).await?;
            summary.checkpoint = Some(end);
            if end >= now {
                return Ok(summary);
            }
            start = end;
        }
    }

    /// Reads a window page by page and saves what it says; tells whether that was all of it.
    async fn read_window(
        &self,
        window: &Window<'_>,
        now: Timestamp,
        deadline: Option<Instant>,
        summary: &mut GroupSummary,
    ) -> Result<bool, StoreError> {
        let mut batch = Batch::default();
        let mut next_token = None;
        let stopped = loop {
            let page = match self
                .fetch_page(window, next_token.as_deref(), deadline, summary)
                .await
            {
                Ok(page) => page,
                Err(stopped) => break Some(stopped),
            };
            for event in &page.events {
                batch.add(window.group.kind, &window.group.name, event, summary);
            }
            let newest = page.events.iter().map(|event| event.timestamp).max();
            let lag_ms = newest.map(|newest| now.millis_since(newest));
            summary.lag_ms = [summary.lag_ms, lag_ms].into_iter().flatten().min();
            next_token = page.next_token;
            if next_token.is_none() {
                break None;
            }
            if batch.len() >= MOST_IN_BATCH {
                self.save(&mut batch, now, summary).await?;
            }
        };
        if self.config.whole_logs {
            batch.mark_whole_logs();
        }
        self.save(&mut batch, now, summary).await?;
        summary.complete = stopped.is_none();
        match stopped {
            Some(Stopped::Unreadable(error)) => {
                warn!(
                    log_group = window.group.name,
                    error = error_chain(&error),
                    "can't read"
                );
                summary.error = Some(error.to_string());
            }
            Some(Stopped::OutOfTime) => {
                info!(
                    log_group = window.group.name,
                    "out of time: the next run goes on from here"
                );
            }
            None => {}
        }
        Ok(summary.complete)
    }

    /// Reads a page, with retries, as long as there is time.
    async fn fetch_page(
        &self,
        window: &Window<'_>,
        next_token: Option<&str>,
        deadline: Option<Instant>,
        summary: &mut GroupSummary,
    ) -> Result<LogPage, Stopped> {
        let log_group = window.group.name.as_str();
        let request = PageRequest {
            log_group,
            start: window.start,
            end: window.end,
            next_token,
        };
        let attempts = with_retries(
            || self.parts.logs.fetch_page(request),
            LogSourceError::is_transient,
        );
        let outcome = match deadline.map(|deadline| deadline - TIME_TO_SAVE) {
            Some(last_moment) => timeout_at(last_moment, attempts)
                .await
                .map_err(|_| Stopped::OutOfTime)?,
            None => attempts.await,
        };
        summary.retries += outcome.retries;
        match outcome.result {
            Ok(page) => Ok(page),
            Err(LogSourceError::GroupNotFound(log_group)) => {
                info!(log_group, "the log group does not exist yet");
                Ok(LogPage::default())
            }
            Err(error) => Err(Stopped::Unreadable(error)),
        }
    }
}
