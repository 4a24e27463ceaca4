//! A cache in front of the store. The system is right without it, only slower.

mod breaker;
pub mod cautious;
pub mod redis;

use std::time::Duration;

use async_trait::async_trait;

use crate::error::Source;
use crate::model::{Revision, TaskId};

/// Why a cache did not answer. A reader goes to the store instead.
#[derive(Debug, thiserror::Error)]
#[error("the cache failed during {operation}")]
pub struct CacheError {
    /// What was being done.
    pub operation: &'static str,
    /// What went wrong.
    #[source]
    pub source: Source,
}

/// What a cache knows of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageLookup {
    /// The generation of all tasks at the moment of the look-up.
    pub generation: u64,
    /// Whether the generation is older than [`INDEX_DELAY`]: what is read from now on misses no write that
    /// began it.
    pub is_settled: bool,
    /// The page as it was put under this generation. Left out if the generation is the known one.
    pub page: Option<Vec<u8>>,
}

/// A fast, forgetful copy of what the API answers. Values are the bytes of the answers themselves.
///
/// Every method returns within the cache's own time budget: callers see a hit, a miss or an error, never
/// a wait.
#[async_trait]
pub trait TaskCache: Send + Sync {
    /// The bytes of a task.
    async fn fetch_task(&self, task_id: &TaskId) -> Result<Option<Vec<u8>>, CacheError>;

    /// The bytes of a task, be they old: for when nobody can be asked who knows better.
    async fn fetch_task_as_held(&self, task_id: &TaskId) -> Result<Option<Vec<u8>>, CacheError> {
        self.fetch_task(task_id).await
    }

    /// Keeps the bytes of a task for `ttl`, unless a later revision of it is held.
    async fn put_task(
        &self,
        task_id: &TaskId,
        revision: Revision,
        bytes: &[u8],
        ttl: Duration,
    ) -> Result<(), CacheError>;

    /// Replaces what is held of a task by `bytes`, for `ttl`, if that is a lower revision, and says whether it was.
    /// Where none is held none is put.
    async fn renew_task(
        &self,
        task_id: &TaskId,
        revision: Revision,
        bytes: &[u8],
        ttl: Duration,
    ) -> Result<bool, CacheError>;

    /// Forgets a task.
    async fn remove_task(&self, task_id: &TaskId) -> Result<(), CacheError>;

    /// Tells that some task or project was written: no page kept before is found again.
    async fn bump_generation(&self) -> Result<(), CacheError>;

    /// The page kept under `key` for the present generation, and that generation. Who has the page of the
    /// `known` generation already is not sent it again.
    async fn fetch_page(&self, key: &str, known: Option<u64>) -> Result<PageLookup, CacheError>;

    /// Keeps a page that was read when the generation was `generation`.
    ///
    /// The store's indexes follow its writes with a delay: within [`INDEX_DELAY`] of a bump a page is kept
    /// for [`FRESH_PAGE_TTL`] alone, so that a page which misses the last write is soon read again.
    async fn put_page(&self, key: &str, generation: u64, bytes: &[u8]) -> Result<(), CacheError>;

    /// Answers if the cache can be reached.
    async fn ping(&self) -> Result<(), CacheError>;
}

/// How long a page is kept.
pub const PAGE_TTL: Duration = Duration::from_secs(60);
/// How long a page is kept that may miss the last write.
pub const FRESH_PAGE_TTL: Duration = Duration::from_secs(1);
/// How long after a write the store's indexes may lack it, generously.
pub const INDEX_DELAY: Duration = Duration::from_secs(5);
