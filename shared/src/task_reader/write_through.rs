//! Updates of the cache after a write to the store.

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt as _, join_all};
use tracing::warn;

use super::freshness::{DELETED_TTL, cache_ttl};
use crate::cache::lookup::deletion_mark;
use crate::cache::{CacheError, TaskCache};
use crate::error::error_chain;
use crate::model::{Task, Timestamp};
use crate::record::{Head, TaskChange};
use crate::server_timing::for_cache;
use crate::view::Renderer;

/// Updates the cache after a write to the store.
///
/// A failed call of the cache is logged and not repeated here, because the store has the write. The
/// outdated value expires after its time to live.
#[derive(Clone)]
pub struct WriteThrough {
    cache: Option<Arc<dyn TaskCache>>,
    renderer: Renderer,
}

impl WriteThrough {
    /// Creates the write-through to `cache`. Without a cache, it does nothing.
    pub fn new(cache: Option<Arc<dyn TaskCache>>, renderer: Renderer) -> Self {
        Self { cache, renderer }
    }

    /// Puts the runs of saved changes into the cache, marks deleted ones, and begins a generation,
    /// all at the same time.
    ///
    /// Returns how many cache operations failed.
    pub async fn saved(&self, changes: &[&TaskChange], now: Timestamp) -> usize {
        let Some(cache) = self.cache.as_deref() else {
            return 0;
        };
        let heads: Vec<_> = changes.iter().flat_map(|change| &change.heads).collect();
        if heads.is_empty() {
            return 0;
        }
        let mut operations = vec![cache.bump_generation()];
        for head in heads {
            operations.push(self.put_head(cache, &head.next, now).boxed());
        }
        failures_of(operations).await
    }

    /// Puts tasks as they are stored into the cache, and begins a generation. An earlier write to the
    /// cache may have failed, or its writer crashed before it.
    ///
    /// Returns how many cache operations failed.
    pub async fn tasks_confirmed(&self, tasks: &[&Task], now: Timestamp) -> usize {
        let Some(cache) = self.cache.as_deref() else {
            return 0;
        };
        let mut operations = vec![cache.bump_generation()];
        for task in tasks {
            operations.push(self.put(cache, task, now).boxed());
        }
        failures_of(operations).await
    }

    /// Repairs the cache entries of tasks that a run found unchanged in the store.
    ///
    /// An earlier run may have crashed between the store and the cache, or its cache call may have
    /// failed. Its outdated value would stay for its whole time to live. Tasks that are not in the
    /// cache are not put.
    ///
    /// Returns how many cache operations failed.
    pub async fn tasks_unchanged(&self, tasks: &[&Task], now: Timestamp) -> usize {
        let Some(cache) = self.cache.as_deref() else {
            return 0;
        };
        let renewals = tasks.iter().map(async |task| {
            let bytes = self.renderer.task(task, now);
            let ttl = cache_ttl(&self.renderer, task, now);
            let id = task.record_id();
            let renewed = cache.renew_task(&id, task.revision, &bytes, ttl);
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

    /// Begins a generation for a task that an earlier request created. That request may have ended
    /// before it updated the cache.
    ///
    /// Returns how many cache operations failed.
    pub async fn task_made_before(&self) -> usize {
        self.all_changed().await
    }

    /// Begins a generation after a project was created or changed.
    ///
    /// Returns how many cache operations failed.
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
        cache
            .put_task(&task.record_id(), task.revision, &bytes, ttl)
            .await
    }

    async fn put_head(
        &self,
        cache: &dyn TaskCache,
        head: &Head,
        now: Timestamp,
    ) -> Result<(), CacheError> {
        let Some(task) = head.live() else {
            let (id, revision) = (head.task.record_id(), head.task.revision);
            let mark = deletion_mark(revision);
            return cache.put_task(&id, revision, &mark, DELETED_TTL).await;
        };
        self.put(cache, task, now).await
    }
}

/// Runs all operations at the same time and counts the failed ones.
async fn failures_of(operations: Vec<BoxFuture<'_, Result<(), CacheError>>>) -> usize {
    count_failures(for_cache(join_all(operations)).await)
}

/// Counts the failed operations and logs one warning for all of them.
fn count_failures<T>(outcomes: Vec<Result<T, CacheError>>) -> usize {
    let errors: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    if let Some(first) = errors.first() {
        let failures = errors.len();
        warn!(
            error = error_chain(first),
            failures, "the cache missed a write"
        );
    }
    errors.len()
}
