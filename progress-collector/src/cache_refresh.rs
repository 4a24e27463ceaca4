//! Refreshes the cache from the store. A sweep does this while log groups can't be read.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use shared::fault_point::FaultPoint;
use shared::model::{RunId, TaskStatus};
use shared::store::{StoreError, TaskQuery};
use tokio::time::Instant;

use crate::collector::Collector;
use crate::invocation::Invocation;

/// Tasks per request to the store.
const PAGE_SIZE: usize = 100;
/// Tasks that are read at the same time.
const CONCURRENT_READS: usize = 8;
/// The time that must be left for another page.
const TIME_FOR_PAGE: Duration = Duration::from_secs(1);
/// The most tasks that are refreshed. Users will not look at more within the minute until the next
/// sweep.
const MAX_TASKS: usize = 1_000;

/// Writes the tasks that have not ended from the store to the cache. Returns how many writes the
/// cache failed.
pub(crate) async fn refresh_cache(
    collector: &Collector,
    invocation: Invocation,
) -> Result<u64, StoreError> {
    let mut errors = 0;
    if collector.parts.cache.is_none() {
        return Ok(errors);
    }
    let statuses = TaskStatus::ALL.iter().copied();
    let query = TaskQuery {
        statuses: statuses.filter(|status| !status.is_terminal()).collect(),
        ..TaskQuery::default()
    };
    let last_moment = invocation.last_moment(TIME_FOR_PAGE);
    let mut after: Option<RunId> = None;
    for _ in 0..MAX_TASKS / PAGE_SIZE {
        if last_moment.is_some_and(|last_moment| Instant::now() >= last_moment) {
            break;
        }
        let store = &collector.parts.tasks;
        let page = store.list(&query, after.as_ref(), PAGE_SIZE).await?;
        // A list has no parts of tasks.
        let reads = page
            .tasks
            .iter()
            .map(async |task| store.fetch(&task.record_id()).await);
        let tasks: Vec<_> = stream::iter(reads)
            .buffer_unordered(CONCURRENT_READS)
            .try_collect()
            .await?;
        let tasks: Vec<_> = tasks.iter().flatten().collect();
        FaultPoint::BeforeCacheRefresh.reach();
        let write_through = &collector.write_through;
        let failed = write_through.tasks_confirmed(&tasks, invocation.now).await;
        FaultPoint::AfterCacheRefresh.reach();
        errors += u64::try_from(failed).unwrap_or(u64::MAX);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    Ok(errors)
}
