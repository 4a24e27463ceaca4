//! What the cache has to be told after a write.

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt as _, join_all};
use tracing::warn;

use super::Renderer;
use crate::cache::{CacheError, TaskCache};
use crate::error::error_chain;
use crate::model::{MetricsDelta, ProjectId, Task, Timestamp};

/// One write of a task that the store has taken.
#[derive(Debug, Clone, Copy)]
pub struct SavedTask<'a> {
    /// The task before; `None` if it is new.
    pub previous: Option<&'a Task>,
    /// The task as it was saved.
    pub next: &'a Task,
}

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

    /// Tells the cache of tasks that were saved: puts them, makes all pages unfindable, and forgets the
    /// projects whose metrics they changed. All at once, so that the wait is that for one.
    ///
    /// Returns how many operations the cache failed.
    pub async fn tasks_saved(&self, saved: &[SavedTask<'_>], now: Timestamp) -> usize {
        let Some(cache) = self.cache.as_deref() else {
            return 0;
        };
        if saved.is_empty() {
            return 0;
        }
        let projects = changed_projects(saved);
        let mut operations = vec![cache.bump_generation()];
        for saved in saved {
            operations.push(self.put(cache, saved.next, now).boxed());
        }
        operations.extend(projects.iter().map(|project| cache.remove_project(project)));
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
            let ttl = self.renderer.cache_ttl(task, now);
            let renewed = cache.renew_task(&task.task_id, task.revision, &bytes, ttl);
            renewed.await.map(|renewed| renewed.then_some(*task))
        });
        let (renewed, failed): (Vec<_>, Vec<_>) = join_all(renewals)
            .await
            .into_iter()
            .partition(Result::is_ok);
        let renewed: Vec<&Task> = renewed.into_iter().flatten().flatten().collect();
        let mut failures = count_failures(failed);
        if !renewed.is_empty() {
            let mut projects: Vec<_> = renewed
                .iter()
                .filter_map(|task| task.project_id.clone())
                .collect();
            projects.sort_unstable();
            projects.dedup();
            let mut operations = vec![cache.bump_generation()];
            operations.extend(projects.iter().map(|project| cache.remove_project(project)));
            failures += failures_of(operations).await;
        }
        failures
    }

    /// Tells the cache of a project that was made or changed.
    ///
    /// Returns how many operations the cache failed.
    pub async fn project_saved(&self, project_id: &ProjectId) -> usize {
        let Some(cache) = self.cache.as_deref() else {
            return 0;
        };
        failures_of(vec![
            cache.remove_project(project_id),
            cache.bump_generation(), // the list of projects is kept by generation, too
        ])
        .await
    }

    async fn put(
        &self,
        cache: &dyn TaskCache,
        task: &Task,
        now: Timestamp,
    ) -> Result<(), CacheError> {
        let bytes = self.renderer.task(task, now);
        let ttl = self.renderer.cache_ttl(task, now);
        let (task_id, revision) = (&task.task_id, task.revision);
        cache.put_task(task_id, revision, &bytes, ttl).await
    }
}

/// The projects whose metrics these writes have changed, each once.
fn changed_projects(saved: &[SavedTask<'_>]) -> Vec<ProjectId> {
    let deltas = saved
        .iter()
        .flat_map(|saved| MetricsDelta::of_change(saved.previous, Some(saved.next)));
    let mut projects: Vec<_> = deltas.map(|delta| delta.project_id).collect();
    projects.sort_unstable();
    projects.dedup();
    projects
}

/// Runs all operations side by side and counts those that failed.
async fn failures_of(operations: Vec<BoxFuture<'_, Result<(), CacheError>>>) -> usize {
    count_failures(join_all(operations).await)
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
