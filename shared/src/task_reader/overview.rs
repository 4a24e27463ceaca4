//! The overview: what needs attention, and exact counts of everything.

use std::time::Duration;

use super::keys::overview_key;
use super::{ConditionalRead, TaskReader, page_of};
use crate::model::{Progress, Task, TaskStatus, Timestamp};
use crate::store::{StoreError, TaskQuery, TimeRange};
use crate::validator::Validator;

/// The most tasks in the overview.
const MAX_TASKS: usize = 50;
/// For how long a run that has failed or is silent needs attention.
const ATTENTION: Duration = Duration::from_secs(24 * 60 * 60);
/// How long ago a run may have begun that has failed or is silent. It bounds what must be read.
const BEGUN_WITHIN: Duration = Duration::from_secs(7 * 24 * 60 * 60);

impl TaskReader {
    /// Reads what needs attention, the counts of all tasks, and all projects:
    /// `{"attention":[…],"counts":{…},"projects":[…]}`. `known` are the validators of the client's
    /// copies.
    ///
    /// # Errors
    ///
    /// An error of the store, if the cache does not have the overview.
    pub async fn overview(
        &self,
        known: &[Validator],
        now: Timestamp,
    ) -> Result<ConditionalRead, StoreError> {
        let read = async {
            let (attention, counts, projects) = tokio::try_join!(
                self.attention(now),
                self.projects.totals(),
                self.projects.list(),
            )?;
            let json = self.renderer.overview(&attention, &counts, &projects, now);
            Ok(Some(page_of(json)))
        };
        let overview = self.read_through(&overview_key(), known, read).await?;
        Ok(overview.expect("the overview is never absent"))
    }

    /// The runs that need attention: blocked ones, then those that have failed lately, then running
    /// ones that fell silent lately, then those that ended so in the middle of their work. Of each
    /// kind, those that began last come first.
    async fn attention(&self, now: Timestamp) -> Result<Vec<Task>, StoreError> {
        let list = async |status, begun, updated| {
            let query = TaskQuery {
                statuses: vec![status],
                begun,
                updated,
                ..TaskQuery::default()
            };
            self.tasks.list(&query, None, MAX_TASKS).await
        };
        let any_time = TimeRange::default();
        let since = |age| TimeRange {
            from: Some(now.before(age)),
            to: None,
        };
        let silent = TimeRange {
            to: Some(self.renderer.silent_before(now)),
            ..since(ATTENTION)
        };
        let (blocked, failed, silent, mut ended) = tokio::try_join!(
            list(TaskStatus::Blocked, any_time, any_time),
            list(TaskStatus::Failed, since(BEGUN_WITHIN), since(ATTENTION)),
            list(TaskStatus::Running, since(BEGUN_WITHIN), silent),
            list(TaskStatus::Ended, since(BEGUN_WITHIN), since(ATTENTION)),
        )?;
        // A log that never showed progress need not say how it ended.
        let had_progress = |task: &Task| task.progress != Progress::default();
        ended.tasks.retain(had_progress);
        let pages = [blocked, failed, silent, ended].into_iter();
        Ok(pages.flat_map(|page| page.tasks).take(MAX_TASKS).collect())
    }
}
