//! What follows a write to the store: updates of the cache, and a call of the listener.

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt as _, join_all};
use tokio::time::Instant;
use tracing::warn;

use super::freshness::{FRESH_FOR, fresh_for};
use super::keys::{project_key, projects_key};
use crate::cache::{Answer, CacheError, CacheKey, TaskCache};
use crate::error::error_chain;
use crate::model::{ProjectId, Timestamp};
use crate::record::{Head, TaskChange};
use crate::server_timing::for_cache;
use crate::validator::Validator;
use crate::view::Renderer;

/// Hears of the changes that this process has saved.
pub trait ChangeListener: Send + Sync {
    /// Hears of saved changes. It must not block. Changes of one task may come in another order than
    /// they were saved in.
    fn saved(&self, changes: &[&TaskChange], now: Timestamp);
}

/// Updates the cache and calls the listener after a write to the store.
///
/// A failed call of the cache is logged and not repeated, because the store has the write: what the
/// cache holds is fresh for a few seconds only.
#[derive(Clone)]
pub struct WriteThrough {
    cache: Option<Arc<dyn TaskCache>>,
    renderer: Renderer,
    listener: Option<Arc<dyn ChangeListener>>,
}

impl WriteThrough {
    /// Creates the write-through to `cache`, if there is one.
    pub fn new(cache: Option<Arc<dyn TaskCache>>, renderer: Renderer) -> Self {
        Self {
            cache,
            renderer,
            listener: None,
        }
    }

    /// Sets the listener.
    #[must_use]
    pub fn with_listener(self, listener: Arc<dyn ChangeListener>) -> Self {
        Self {
            listener: Some(listener),
            ..self
        }
    }

    /// Calls the listener. Puts the runs of saved changes into the cache and begins a generation, all
    /// at the same time. `begun` is a moment before the changes were saved.
    ///
    /// Returns how many cache operations failed.
    pub async fn saved(&self, changes: &[&TaskChange], begun: Instant, now: Timestamp) -> usize {
        if let Some(listener) = &self.listener {
            listener.saved(changes, now);
        }
        let Some(cache) = self.cache.as_deref() else {
            return 0;
        };
        let heads: Vec<_> = changes.iter().flat_map(|change| &change.heads).collect();
        if heads.is_empty() {
            return 0;
        }
        let mut operations = vec![cache.begin_generation()];
        for head in heads {
            let put = async move {
                let answer = self.answer(&head.next, now);
                let key = CacheKey::Run(head.next.task.record_id());
                cache.put(&key, &answer, begun.elapsed()).await
            };
            operations.push(put.boxed());
        }
        failures_of(operations).await
    }

    /// Forgets the project and the list of projects after the project was created or changed, and
    /// begins a generation.
    ///
    /// Returns how many cache operations failed.
    pub async fn project_saved(&self, project_id: &ProjectId) -> usize {
        let Some(cache) = self.cache.as_deref() else {
            return 0;
        };
        let (project, projects) = (project_key(project_id), projects_key());
        let operations = vec![
            cache.begin_generation(),
            cache.remove(&project),
            cache.remove(&projects),
        ];
        failures_of(operations).await
    }

    /// What the API answers about a run. The answer about a run that does not exist any more is
    /// kept too: it keeps a slow reader from putting the run back.
    fn answer(&self, head: &Head, now: Timestamp) -> Answer {
        let (body, fresh_for) = match head.live() {
            Some(task) => (self.renderer.task(task, now), fresh_for(task)),
            None => (Vec::new(), FRESH_FOR),
        };
        let revision = head.task.revision;
        Answer {
            version: revision.0,
            fresh_for,
            validator: Validator::of_revision(revision, &body),
            body,
        }
    }
}

/// Runs all operations at the same time, counts the failed ones and logs one warning for them.
async fn failures_of(operations: Vec<BoxFuture<'_, Result<(), CacheError>>>) -> usize {
    let outcomes = for_cache(join_all(operations)).await;
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
