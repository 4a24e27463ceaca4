//! Reading one window of a log group: page by page, saved as it goes, within the deadline.

use std::time::Duration;

use shared::batch::Batch;
use shared::checkpoint::{Checkpoint, Resume};
use shared::error::error_chain;
use shared::fault_point::FaultPoint;
use shared::log_source::{LogPage, LogSourceError, PageRequest};
use shared::model::Timestamp;
use shared::retry::with_retries;
use shared::store::StoreError;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::collector::{Collector, LogGroup};
use crate::summary::GroupSummary;

/// What is left of an invocation's time for saving what was read.
const TIME_TO_SAVE: Duration = Duration::from_secs(3);
/// How often what was read is saved, and said to be, while reading takes long: whoever kills the collector costs it
/// no more than this.
const SAVE_EVERY: Duration = Duration::from_secs(10);

/// A window of one log group.
#[derive(Debug)]
pub(crate) struct Window<'a> {
    /// The log group.
    pub(crate) group: &'a LogGroup,
    /// The first moment.
    pub(crate) start: Timestamp,
    /// The last moment, included.
    pub(crate) end: Timestamp,
    /// Where reading begins and how far the log group was read before; `None` where checkpoints stay as they are,
    /// and reading begins with the window.
    pub(crate) place: Option<Place>,
}

/// Where the reading of a window begins.
#[derive(Debug)]
pub(crate) struct Place {
    /// How far the log group is read while the window is not.
    pub(crate) read_up_to: Timestamp,
    /// The token to go on from; `None` at the beginning of the window.
    pub(crate) next_token: Option<String>,
}

/// How the reading of a window has ended. What was read is saved, however it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WindowEnd {
    /// All of it was read.
    Complete,
    /// Time was over or the log group can't be read. The next run goes on from here.
    CutShort,
    /// The token that it was to go on from was refused: it must be read from its beginning.
    TokenRefused,
}

/// Why there is no next page.
enum Stopped {
    /// The invocation's time is over.
    OutOfTime,
    /// The log group can't be read.
    Unreadable(LogSourceError),
}

impl Collector {
    /// Reads a window page by page and saves what it says, now and then also where it is.
    pub(crate) async fn read_window(
        &self,
        window: &Window<'_>,
        now: Timestamp,
        deadline: Option<Instant>,
        summary: &mut GroupSummary,
    ) -> Result<WindowEnd, StoreError> {
        let mut batch = Batch::default();
        let resumed = window.place.as_ref();
        let resumed = resumed.and_then(|place| place.next_token.as_deref());
        let mut next_token = resumed.map(str::to_owned);
        let mut is_first_page = true;
        // Whether pages were read since the place was kept.
        let mut has_moved = false;
        let mut saved_at = Instant::now();
        let stopped = loop {
            FaultPoint::BeforePage.reach();
            let page = match self
                .fetch_page(window, next_token.as_deref(), deadline, summary)
                .await
            {
                Ok(page) => page,
                Err(Stopped::Unreadable(LogSourceError::Refused { .. }))
                    if resumed.is_some() && is_first_page =>
                {
                    return Ok(WindowEnd::TokenRefused); // nothing was read yet
                }
                Err(stopped) => break Some(stopped),
            };
            FaultPoint::AfterPage.reach();
            is_first_page = false;
            summary.pages += 1;
            let is_gathered = self
                .gather(window, &page, &mut batch, now, deadline, summary)
                .await?;
            if !is_gathered {
                break Some(Stopped::OutOfTime); // the page is read again
            }
            next_token = page.next_token;
            if next_token.is_none() {
                break None;
            }
            has_moved = true;
            if saved_at.elapsed() >= SAVE_EVERY {
                self.save(&mut batch, now, summary).await?;
                self.keep_place(window, next_token.as_deref(), now).await?;
                has_moved = false;
                saved_at = Instant::now();
                info!(
                    log_group = window.group.name,
                    pages = summary.pages,
                    events = summary.events,
                    tasks_changed = summary.tasks_changed,
                    lag_ms = summary.lag_ms,
                    "still reading"
                );
            }
        };
        self.save(&mut batch, now, summary).await?;
        let Some(stopped) = stopped else {
            return Ok(WindowEnd::Complete);
        };
        if has_moved {
            self.keep_place(window, next_token.as_deref(), now).await?;
        }
        let log_group = window.group.name.as_str();
        match stopped {
            Stopped::Unreadable(error) => {
                warn!(log_group, error = error_chain(&error), "can't read");
                summary.error = Some(error.to_string());
            }
            Stopped::OutOfTime => {
                info!(log_group, "out of time: the next run goes on from here");
            }
        }
        Ok(WindowEnd::CutShort)
    }

    /// Adds a page to the batch, and saves that whenever it is full; `false` if time was over before all of the page
    /// was added.
    async fn gather(
        &self,
        window: &Window<'_>,
        page: &LogPage,
        batch: &mut Batch,
        now: Timestamp,
        deadline: Option<Instant>,
        summary: &mut GroupSummary,
    ) -> Result<bool, StoreError> {
        for event in &page.events {
            summary.count_event(batch.add(window.group.format, &window.group.name, event));
            if batch.is_full() {
                self.save(batch, now, summary).await?;
                FaultPoint::AmidPage.reach();
                if last_moment(deadline).is_some_and(|last_moment| Instant::now() > last_moment) {
                    return Ok(false);
                }
            }
        }
        let newest = page.events.iter().map(|event| event.timestamp).max();
        let lag_ms = newest.map(|newest| now.millis_since(newest));
        summary.lag_ms = [summary.lag_ms, lag_ms].into_iter().flatten().min();
        Ok(true)
    }

    /// Notes that the window goes on with `next_token`: all that comes before must be saved.
    async fn keep_place(
        &self,
        window: &Window<'_>,
        next_token: Option<&str>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (Some(place), Some(next_token)) = (&window.place, next_token) else {
            return Ok(());
        };
        let checkpoint = Checkpoint {
            read_up_to: place.read_up_to,
            saved_at: now,
            resume: Some(Resume {
                start: window.start,
                end: window.end,
                next_token: next_token.to_owned(),
            }),
        };
        let checkpoints = &self.parts.checkpoints;
        FaultPoint::BeforePlace.reach();
        checkpoints.save(&window.group.name, checkpoint).await?;
        FaultPoint::AfterPlace.reach();
        Ok(())
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
        let attempt = async || self.parts.logs.fetch_page(request).await;
        let last_moment = last_moment(deadline);
        let retried = with_retries(last_moment, attempt, LogSourceError::is_transient).await;
        summary.retries += retried.attempts.saturating_sub(1);
        match retried.outcome.ok_or(Stopped::OutOfTime)? {
            Ok(page) => Ok(page),
            Err(LogSourceError::GroupNotFound(log_group)) => {
                info!(log_group, "the log group does not exist yet");
                Ok(LogPage::default())
            }
            Err(error) => Err(Stopped::Unreadable(error)),
        }
    }
}

/// When reading must end so that there is time to save.
fn last_moment(deadline: Option<Instant>) -> Option<Instant> {
    deadline.map(|deadline| deadline.checked_sub(TIME_TO_SAVE).unwrap_or(deadline))
}
