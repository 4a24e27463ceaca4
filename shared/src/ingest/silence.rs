//! Ends the runs whose logs have ended, or have been silent for long.

use std::slice;
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;
use tracing::error;

use super::{Ingest, IngestCounts};
use crate::error::error_chain;
use crate::model::{RunId, TaskId, TaskStatus, Timestamp};
use crate::record::TaskChange;
use crate::retry::{ConflictPolicy, retry_on_conflict};
use crate::store::{StoreError, TaskQuery, TimeRange};

/// The size of a page of silent runs.
const PAGE: usize = 200;
/// The most pages that are read at a time. The next time continues there.
const MOST_PAGES: usize = 10;

/// Where the search for silent runs continues. A new process begins with the newest run again.
pub(super) type Position = Mutex<Option<RunId>>;

impl Ingest {
    /// Ends the newest run of a task whose log has ended, as its last lines tell. Nothing changes if
    /// that run has ended before.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] that a later attempt may not meet.
    pub async fn end_of_log(
        &self,
        task_id: &TaskId,
        now: Timestamp,
        counts: &mut IngestCounts,
    ) -> Result<(), StoreError> {
        let step = || async {
            let begun = Instant::now();
            let records = self.tasks.fetch_records(slice::from_ref(task_id)).await?;
            let record = records.first();
            match record.and_then(|record| record.end_of_log(now)) {
                Some(change) => self.save_end(&change, begun, now).await.map(Some),
                None => Ok(None),
            }
        };
        let is_conflict = |error: &StoreError| matches!(error, StoreError::Conflict(_));
        let cache_errors = retry_on_conflict(ConflictPolicy::INGEST, step, is_conflict).await?;
        counts.add_end(cache_errors);
        Ok(())
    }

    /// Ends the running runs that were last heard of before `since`, as their last lines tell: some
    /// 2,000 runs at a time, until the `last_moment` at most.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] that a later attempt may not meet. Everything else was saved.
    pub async fn end_silent_runs(
        &self,
        since: Timestamp,
        now: Timestamp,
        last_moment: Option<Instant>,
        counts: &mut IngestCounts,
    ) -> Result<(), StoreError> {
        let is_late = || last_moment.is_some_and(|last_moment| Instant::now() > last_moment);
        let query = TaskQuery {
            statuses: vec![TaskStatus::Running],
            updated: TimeRange {
                from: None,
                to: Some(since),
            },
            ..TaskQuery::default()
        };
        let position = || {
            self.silent_runs
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        let mut after = position().clone();
        for _ in 0..MOST_PAGES {
            let page = self.tasks.list(&query, after.as_ref(), PAGE).await?;
            for task in &page.tasks {
                if is_late() {
                    return Ok(());
                }
                match self.end_silent_run(task.run_id(), since, now, counts).await {
                    // Another writer has heard of it.
                    Ok(()) | Err(StoreError::Conflict(_)) => {}
                    Err(error @ (StoreError::Refused { .. } | StoreError::Corrupt { .. })) => {
                        counts.tasks_refused += 1;
                        error!(error = error_chain(&error), "a silent task can't be ended");
                    }
                    Err(error) => return Err(error),
                }
            }
            after = page.next;
            position().clone_from(&after);
            if after.is_none() {
                break;
            }
        }
        Ok(())
    }

    async fn end_silent_run(
        &self,
        run_id: RunId,
        since: Timestamp,
        now: Timestamp,
        counts: &mut IngestCounts,
    ) -> Result<(), StoreError> {
        let begun = Instant::now();
        let records = self.tasks.fetch_records(&[run_id.task_id]).await?;
        let record = records.first();
        let change = record.and_then(|record| record.end_of_silent_run(run_id.run, since, now));
        let Some(change) = change else {
            return Ok(());
        };
        let cache_errors = self.save_end(&change, begun, now).await?;
        counts.add_end(Some(cache_errors));
        Ok(())
    }

    /// Saves the end of a run. Returns how many cache operations failed.
    async fn save_end(
        &self,
        change: &TaskChange,
        begun: Instant,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        self.tasks.save(change).await?;
        Ok(self.write_through.saved(&[change], begun, now).await)
    }
}

impl IngestCounts {
    /// Counts the end of a run, which failed so many cache operations; `None` if nothing changed.
    fn add_end(&mut self, cache_errors: Option<usize>) {
        self.tasks_changed += u64::from(cache_errors.is_some());
        let cache_errors = cache_errors.unwrap_or_default();
        self.cache_errors += u64::try_from(cache_errors).unwrap_or(u64::MAX);
    }
}
