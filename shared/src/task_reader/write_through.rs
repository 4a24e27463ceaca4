//! What the cache has to be told after a write.

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt as _, join_all};
use tracing::warn;

use super::freshness::{DELETED_TTL, cache_ttl, deleted_mark};
use crate::cache::{CacheError, TaskCache};
use crate::error::error_chain;
use crate::model::{Task, Timestamp};
use crate::server_timing::for_cache;
use crate::view::Renderer;

/// Keeps the cache true after a write to the store.
///
/// It does its best and no more: what is saved is saved, so a cache that fails is a warning. What it then
/// still holds is gone after its time.
#[derive(Clone)]
pub struct WriteThrough {
    cache: Option<Arc<dyn TaskCache>>,
    renderer: Renderer,
}

impl WriteThrough {
    /// Write-through to `cache`; without one there is nothing to do.
    pub fn new(cache: Option<Arc<dyn TaskCache>>, renderer: Renderer) -> Self {
        Self { cache, renderer }
    }

    /// Tells the cache of tasks that were saved: puts them, and makes all pages and projects unfindable. All
    /// at once, so that the wait is that for one.
    ///
    /// Returns how many operations the cache failed.
    pub async fn tasks_saved(&self, saved: &[&Task], now: Timestamp) -> usize {
        let Some(cache) = self.cache.as_deref() else {
            return 0;
        };
        if saved.is_empty() {
            return 0;
        }
        let mut operations = vec![cache.bump_generation()];
        for task in saved {
            operations.push(self.put(cache, task, now).boxed());
        }
        failures_of(operations).await
    }

    /// Heals the cache of tasks that a run has found saved as they should be: a run before it may have died, or been
    /// failed by the cache, between the store and the cache, and what the cache holds would stay old for all of its
    /// time. Of a task that it does not hold, it is told nothing.
    ///
    /// Returns how many operations the cache failed.
    pub async fn tasks_unchanged(&self, tasks: &[&Task], now: Timestamp) -> usize {
        let Some(cache) = self.cache.as_deref() else {
            return 0;
        };
        let renewals = tasks.iter().map(async |task| {
            let bytes = self.renderer.task(task, now);
            let ttl = cache_ttl(&self.renderer, task, now);
            let renewed = cache.renew_task(&task.task_id, task.revision, &bytes, ttl);
            renewed.await
        });
        let (renewed, failed): (Vec<_>, Vec<_>) = for_cache(join_all(renewals))
            .await
            .into_iter()
            .partition(Result::is_ok);
        let renewed: Vec<bool> = renewed.into_iter().flatten().collect();
        let mut failures = count_failures(failed);
        if renewed.contains(&true) {
            failures += failures_of(vec![cache.bump_generation()]).await;
        }
        failures
    }

    /// Tells the cache that a task was made by a request before, which may have ended before it told so.
    ///
    /// Returns how many operations the cache failed.
    pub async fn task_made_before(&self) -> usize {
        self.all_changed().await
    }

    /// Tells the cache of a task that was deleted.
    ///
    /// Returns how many operations the cache failed.
    pub async fn task_deleted(&self, task: &Task) -> usize {
        let Some(cache) = self.cache.as_deref() else {
            return 0;
        };
        let revision = task.revision.next();
        let mark = deleted_mark(revision);
        let put = cache.put_task(&task.task_id, revision, &mark, DELETED_TTL);
        failures_of(vec![put, cache.bump_generation()]).await
    }

    /// Tells the cache that a project was made or changed.
    ///
    /// Returns how many operations the cache failed.
    pub async fn project_saved(&self) -> usize {
        self.all_changed().await
    }

    async fn all_changed(&self) -> usize {
        let Some(cache) = self.cache.as_deref() else {
            return 0;
        };
        failures_of(vec![cache.bump_generation()]).await
    }

    async fn put(
        &self,
        cache: &dyn TaskCache,
        task: &Task,
        now: Timestamp,
    ) -> Result<(), CacheError> {
        let bytes = self.renderer.task(task, now);
        let ttl = cache_ttl(&self.renderer, task, now);
        let (task_id, revision) = (&task.task_id, task.revision);
        cache.put_task(task_id, revision, &bytes, ttl).await
    }
}

/// Runs all operations side by side and counts those that failed.
async fn failures_of(operations: Vec<BoxFuture<'_, Result<(), CacheError>>>) -> usize {
    count_failures(for_cache(join_all(operations)).await)
}

/// Counts the operations that failed, with one warning for all of them.
fn count_failures<T>(outcomes: Vec<Result<T, CacheError>>) -> usize {
    let errors: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    if let Some(first) = errors.first() {
        let failures = errors.len();
        warn!(
            error = error_chain(first),
            failures, "the cache was not told of a write"
        );
    }
    errors.len()
}
