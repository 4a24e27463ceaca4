//! What is done while logs can't be read: the cache is kept warm from the store.

use std::time::Duration;

use shared::fault_point::FaultPoint;
use shared::model::{TaskStatus, Timestamp};
use shared::store::{ListPosition, StoreError, TaskQuery};
use tokio::time::Instant;

use crate::collector::Collector;
use crate::summary::Summary;

/// Tasks read at a time.
const PAGE: usize = 100;
/// What must be left of an invocation's time for one page more.
const TIME_FOR_PAGE: Duration = Duration::from_secs(1);
/// The most open tasks that are refreshed: more would not be looked at within a minute.
const MOST_TASKS: usize = 1_000;

impl Collector {
    /// Refreshes the cache from the store, for tasks that have not ended.
    pub(crate) async fn refresh_cache(
        &self,
        now: Timestamp,
        deadline: Option<Instant>,
        summary: &mut Summary,
    ) -> Result<(), StoreError> {
        if self.parts.cache.is_none() {
            return Ok(());
        }
        let open = TaskStatus::ALL
            .iter()
            .copied()
            .filter(|status| !status.is_terminal());
        let query = TaskQuery {
            statuses: open.collect(),
            ..TaskQuery::default()
        };
        let mut after: Option<ListPosition> = None;
        for _ in 0..MOST_TASKS / PAGE {
            let is_late = |deadline| Instant::now() + TIME_FOR_PAGE >= deadline;
            if deadline.is_some_and(is_late) {
                break;
            }
            let page = self.parts.tasks.list(&query, after.as_ref(), PAGE).await?;
            let refreshed: Vec<_> = page.tasks.iter().collect();
            FaultPoint::BeforeRefresh.reach();
            let errors = self.write_through.tasks_saved(&refreshed, now).await;
            FaultPoint::AfterRefresh.reach();
            if let Some(group) = summary.groups.first_mut() {
                group.cache_errors += u64::try_from(errors).unwrap_or(u64::MAX);
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        Ok(())
    }
}
