//! The cache, and what it was told: by that, answers are judged.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use shared::cache::{CacheError, PageLookup, TaskCache};
use shared::model::{Revision, TaskId};
use shared::store::{TaskQuery, TaskStore};
use shared::task_reader::Validator;
use testkit::cache::memory::InMemoryTaskCache;
use testkit::store::faulty::FaultyTaskStore;
use testkit::store::memory::InMemoryStore;

/// Tasks, and of which revision.
pub(crate) type Revisions = BTreeMap<TaskId, Revision>;

/// A cache in memory that remembers which writes it was told of. Clones are the same cache.
#[derive(Clone)]
pub(crate) struct WatchedCache {
    inner: Arc<InMemoryTaskCache>,
    store: Arc<FaultyTaskStore<InMemoryStore>>,
    told: Arc<Mutex<Arc<Revisions>>>,
}

impl WatchedCache {
    /// An empty cache in front of `store`.
    pub(crate) fn new(store: Arc<FaultyTaskStore<InMemoryStore>>) -> Self {
        Self {
            inner: Arc::default(),
            store,
            told: Arc::default(),
        }
    }

    /// What was stored when the present generation began: no list that is asked for from now on may be older.
    pub(crate) fn told(&self) -> Arc<Revisions> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&told)
    }

    /// Forgets all.
    pub(crate) fn lose_all(&self) {
        self.inner.lose_all();
    }
}

/// The revision of what the cache holds of a task.
fn revision_in(held: Option<Vec<u8>>) -> Option<Revision> {
    Validator::of_record(&held?).revision()
}

/// The revisions of all stored tasks.
pub(crate) async fn stored_revisions(store: &InMemoryStore) -> Revisions {
    let page = TaskStore::list(store, &TaskQuery::default(), None, usize::MAX).await;
    let tasks = page.unwrap().tasks.into_iter();
    tasks.map(|task| (task.task_id, task.revision)).collect()
}

#[async_trait]
impl TaskCache for WatchedCache {
    async fn fetch_task(&self, task_id: &TaskId) -> Result<Option<Vec<u8>>, CacheError> {
        self.inner.fetch_task(task_id).await
    }

    async fn put_task(
        &self,
        task_id: &TaskId,
        revision: Revision,
        bytes: &[u8],
        ttl: Duration,
    ) -> Result<(), CacheError> {
        let before = self.inner.fetch_task(task_id).await?;
        self.inner.put_task(task_id, revision, bytes, ttl).await?;
        let after = self.inner.fetch_task(task_id).await?;
        let (before, after) = (revision_in(before), revision_in(after));
        assert!(before <= after, "the cache went back with {task_id}");
        Ok(())
    }

    async fn renew_task(
        &self,
        task_id: &TaskId,
        revision: Revision,
        bytes: &[u8],
        ttl: Duration,
    ) -> Result<bool, CacheError> {
        self.inner.renew_task(task_id, revision, bytes, ttl).await
    }

    async fn remove_task(&self, task_id: &TaskId) -> Result<(), CacheError> {
        self.inner.remove_task(task_id).await
    }

    async fn bump_generation(&self) -> Result<(), CacheError> {
        self.inner.bump_generation().await?;
        let stored = Arc::new(stored_revisions(self.store.inner()).await);
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = stored;
        Ok(())
    }

    async fn fetch_page(&self, key: &str, known: Option<u64>) -> Result<PageLookup, CacheError> {
        self.inner.fetch_page(key, known).await
    }

    async fn put_page(&self, key: &str, generation: u64, bytes: &[u8]) -> Result<(), CacheError> {
        self.inner.put_page(key, generation, bytes).await
    }

    async fn ping(&self) -> Result<(), CacheError> {
        self.inner.ping().await
    }
}
