//! Reads one window of a log group, page by page.
//!
//! Tasks are saved at the end, when the batch is full, and every ten seconds. After each save the
//! checkpoint can point at the next page, so that a later sweep continues there.

use std::time::Duration;

use shared::batch::Batch;
use shared::checkpoint::{Checkpoint, Resume};
use shared::error::error_chain;
use shared::fault_point::FaultPoint;
use shared::ingest::Pace;
use shared::log_source::{LogPage, LogSourceError, PageRequest};
use shared::model::Timestamp;
use shared::retry::with_retries;
use shared::store::StoreError;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::collector::Collector;
use crate::config::LogGroup;
use crate::invocation::Invocation;
use crate::summary::GroupSummary;

/// The time before the deadline that is reserved for saving.
const TIME_TO_SAVE: Duration = Duration::from_secs(3);
/// How often tasks and the resume point are saved during a long read. A killed collector loses at
/// most this much work.
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
    /// The token of the page to start with; `None` for the first page of the window.
    pub(crate) page_token: Option<String>,
    /// How far the log group was read before this window. `None` if no checkpoint is to be saved.
    pub(crate) read_up_to: Option<Timestamp>,
    /// The most pages to read; `None` if there is no limit.
    pub(crate) max_pages: Option<u64>,
}

/// How the reading of a window ended. In each case the tasks are saved that the pages reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WindowEnd {
    /// All pages were read.
    Complete,
    /// The time or the pages were used up, or the log group can't be read. The next sweep continues
    /// at the resume point, if one is saved.
    CutShort,
    /// CloudWatch Logs refused the window's page token: the window must be read from its start.
    PageTokenRefused,
}

/// Why no further page was read.
enum Stopped {
    /// The time was over.
    OutOfTime,
    /// As many pages were read as may be.
    OutOfPages,
    /// The log group can't be read.
    Unreadable(LogSourceError),
}

impl Window<'_> {
    /// Reads the window and saves the tasks that its lines report.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if tasks or the checkpoint could not be saved.
    pub(crate) async fn read(
        &self,
        collector: &Collector,
        invocation: Invocation,
        summary: &mut GroupSummary,
    ) -> Result<WindowEnd, StoreError> {
        let reader = WindowReader {
            window: self,
            collector,
            invocation,
            summary,
            batch: Batch::default(),
        };
        reader.read().await
    }
}

/// The reading of one window.
struct WindowReader<'a> {
    window: &'a Window<'a>,
    collector: &'a Collector,
    invocation: Invocation,
    summary: &'a mut GroupSummary,
    /// What was read and is not saved yet.
    batch: Batch,
}

impl WindowReader<'_> {
    async fn read(mut self) -> Result<WindowEnd, StoreError> {
        let mut page_token = self.window.page_token.clone();
        let mut may_refuse_token = page_token.is_some();
        // Whether pages were read after the last resume point was saved.
        let mut has_advanced = false;
        let mut saved_at = Instant::now();
        let stopped = loop {
            FaultPoint::BeforePage.reach();
            let page = match self.fetch_page(page_token.as_deref()).await {
                Ok(page) => page,
                Err(Stopped::Unreadable(LogSourceError::Refused { .. })) if may_refuse_token => {
                    return Ok(WindowEnd::PageTokenRefused); // no page was read yet
                }
                Err(stopped) => break Some(stopped),
            };
            FaultPoint::AfterPage.reach();
            may_refuse_token = false;
            self.summary.pages += 1;
            if !self.add_page(&page).await? {
                break Some(Stopped::OutOfTime); // the next sweep reads the page again
            }
            page_token = page.next_token;
            if page_token.is_none() {
                break None;
            }
            has_advanced = true;
            if self
                .window
                .max_pages
                .is_some_and(|max| self.summary.pages >= max)
            {
                break Some(Stopped::OutOfPages);
            }
            if saved_at.elapsed() >= SAVE_EVERY {
                self.save().await?;
                self.save_resume_point(page_token.as_deref()).await?;
                has_advanced = false;
                saved_at = Instant::now();
                self.log_progress();
            }
        };
        self.save().await?;
        let Some(stopped) = stopped else {
            return Ok(WindowEnd::Complete);
        };
        if has_advanced {
            self.save_resume_point(page_token.as_deref()).await?;
        }
        let log_group = self.window.group.name.as_str();
        match stopped {
            Stopped::Unreadable(error) => {
                warn!(
                    log_group,
                    error = error_chain(&error),
                    "can't read the log group"
                );
                self.summary.error = Some(error.to_string());
            }
            Stopped::OutOfTime => {
                info!(log_group, "out of time: the next run continues here");
            }
            Stopped::OutOfPages => {}
        }
        Ok(WindowEnd::CutShort)
    }

    /// Fetches a page, with retries while there is time.
    async fn fetch_page(&mut self, page_token: Option<&str>) -> Result<LogPage, Stopped> {
        let request = PageRequest {
            log_group: &self.window.group.name,
            start: self.window.start,
            end: self.window.end,
            next_token: page_token,
        };
        let logs = &self.collector.parts.logs;
        let attempt = async || logs.fetch_page(request).await;
        let last_moment = self.invocation.last_moment(TIME_TO_SAVE);
        let retried = with_retries(last_moment, attempt, LogSourceError::is_transient).await;
        self.summary.retries += retried.attempts.saturating_sub(1);
        match retried.outcome.ok_or(Stopped::OutOfTime)? {
            Ok(page) => Ok(page),
            Err(LogSourceError::GroupNotFound(log_group)) => {
                info!(log_group, "the log group does not exist yet");
                Ok(LogPage::default())
            }
            Err(error) => Err(Stopped::Unreadable(error)),
        }
    }

    /// Adds a page to the batch, and saves the batch whenever it is full. Returns `false` if the
    /// time was over before the whole page was added.
    async fn add_page(&mut self, page: &LogPage) -> Result<bool, StoreError> {
        let group = self.window.group;
        let last_moment = self.invocation.last_moment(TIME_TO_SAVE);
        for event in &page.events {
            let counts = self.batch.add(group.format, &group.name, event);
            self.summary.count_event(counts);
            if self.batch.is_full() {
                self.save().await?;
                FaultPoint::MidPage.reach();
                if last_moment.is_some_and(|last_moment| Instant::now() > last_moment) {
                    return Ok(false);
                }
            }
        }
        let newest = page.events.iter().map(|event| event.timestamp).max();
        let lag_ms = newest.map(|newest| self.invocation.now.millis_since(newest));
        self.summary.lag_ms = [self.summary.lag_ms, lag_ms].into_iter().flatten().min();
        Ok(true)
    }

    async fn save(&mut self) -> Result<(), StoreError> {
        let now = self.invocation.now;
        self.collector
            .save(&mut self.batch, Pace::ALWAYS, now, self.summary)
            .await
    }

    /// Saves in the checkpoint that the window continues at `page_token`. The tasks of all pages
    /// before that must be saved.
    async fn save_resume_point(&self, page_token: Option<&str>) -> Result<(), StoreError> {
        let (Some(read_up_to), Some(page_token)) = (self.window.read_up_to, page_token) else {
            return Ok(());
        };
        let checkpoint = Checkpoint {
            read_up_to,
            saved_at: self.invocation.now,
            resume: Some(Resume {
                start: self.window.start,
                end: self.window.end,
                next_token: page_token.to_owned(),
            }),
        };
        let checkpoints = &self.collector.parts.checkpoints;
        FaultPoint::BeforeResumePoint.reach();
        checkpoints
            .save(&self.window.group.name, checkpoint)
            .await?;
        FaultPoint::AfterResumePoint.reach();
        Ok(())
    }

    fn log_progress(&self) {
        info!(
            log_group = self.window.group.name,
            pages = self.summary.pages,
            events = self.summary.log_events,
            tasks_changed = self.summary.tasks_changed,
            lag_ms = self.summary.lag_ms,
            "still reading"
        );
    }
}
