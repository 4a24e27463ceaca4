//! A cache that fails on demand, around one that works.

use std::time::Duration;

use async_trait::async_trait;

use crate::faults::Faults;
use shared::cache::{CacheError, PageLookup, TaskCache};
use shared::error::Source;
use shared::model::{Revision, TaskId};

/// A cache whose calls fail as its [`Faults`] say.
#[derive(Debug, Clone)]
pub struct FaultyTaskCache<C> {
    inner: C,
    faults: Faults,
}

impl<C> FaultyTaskCache<C> {
    /// `inner`, with what may be asked of `faults`.
    pub fn new(inner: C, faults: Faults) -> Self {
        Self { inner, faults }
    }

    /// The cache inside, which does not fail.
    pub fn inner(&self) -> &C {
        &self.inner
    }
}

fn failed(source: Source) -> CacheError {
    CacheError {
        operation: "a faulty call",
        source,
    }
}

#[async_trait]
impl<C: TaskCache> TaskCache for FaultyTaskCache<C> {
    async fn fetch_task(&self, task_id: &TaskId) -> Result<Option<Vec<u8>>, CacheError> {
        let call = self.inner.fetch_task(task_id);
        self.faults.around(call, failed).await
    }

    async fn put_task(
        &self,
        task_id: &TaskId,
        revision: Revision,
        bytes: &[u8],
        ttl: Duration,
    ) -> Result<(), CacheError> {
        let call = self.inner.put_task(task_id, revision, bytes, ttl);
        self.faults.around(call, failed).await
    }

    async fn renew_task(
        &self,
        task_id: &TaskId,
        revision: Revision,
        bytes: &[u8],
        ttl: Duration,
    ) -> Result<bool, CacheError> {
        let call = self.inner.renew_task(task_id, revision, bytes, ttl);
        self.faults.around(call, failed).await
    }

    async fn remove_task(&self, task_id: &TaskId) -> Result<(), CacheError> {
        let call = self.inner.remove_task(task_id);
        self.faults.around(call, failed).await
    }

    async fn bump_generation(&self) -> Result<(), CacheError> {
        let call = self.inner.bump_generation();
        self.faults.around(call, failed).await
    }

    async fn fetch_page(&self, key: &str, known: Option<u64>) -> Result<PageLookup, CacheError> {
        let call = self.inner.fetch_page(key, known);
        self.faults.around(call, failed).await
    }

    async fn put_page(&self, key: &str, generation: u64, bytes: &[u8]) -> Result<(), CacheError> {
        let call = self.inner.put_page(key, generation, bytes);
        self.faults.around(call, failed).await
    }

    async fn ping(&self) -> Result<(), CacheError> {
        self.faults.around(self.inner.ping(), failed).await
    }
}
