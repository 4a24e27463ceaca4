//! The cache in front of the store. Without it, the API gives the same responses, only later.

pub mod cautious;
mod circuit_breaker;
pub(crate) mod lookup;
pub mod redis;

use std::time::Duration;

use async_trait::async_trait;

use crate::error::Source;
use crate::model::{RecordId, Revision};

pub use lookup::CacheLookup;

/// A failed call of the cache. The reader goes to the store instead.
#[derive(Debug, thiserror::Error)]
#[error("the cache failed during {operation}")]
pub struct CacheError {
    /// The operation that failed.
    pub operation: &'static str,
    /// The cause.
    #[source]
    pub source: Source,
}

/// The result of looking up a page in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageLookup {
    /// The generation of all tasks at the moment of the look-up.
    pub generation: u64,
    /// Whether the generation is older than [`INDEX_DELAY`]. The store's indexes then include
    /// the write that began it.
    pub is_settled: bool,
    /// The page that was put under this generation; `None` on a miss, and if the caller knows
    /// the page of this generation.
    pub page: Option<Vec<u8>>,
}

/// A fast copy of the API's response bodies. It may lose them at any time.
///
/// Every method returns within the cache's own time budget, with a hit, a miss or an error.
#[async_trait]
pub trait TaskCache: Send + Sync {
    /// Looks up a task.
    async fn fetch_task(&self, id: &RecordId) -> Result<CacheLookup, CacheError>;

    /// Looks up a task, and returns it even if it may be outdated. Readers use it while the store
    /// is down.
    async fn fetch_task_as_held(&self, id: &RecordId) -> Result<CacheLookup, CacheError> {
        self.fetch_task(id).await
    }

    /// Keeps the bytes of a task for `ttl`, unless the cache holds a later revision.
    async fn put_task(
        &self,
        id: &RecordId,
        revision: Revision,
        bytes: &[u8],
        ttl: Duration,
    ) -> Result<(), CacheError>;

    /// Replaces the task by `bytes`, for `ttl`, if the cache holds a lower revision. Returns
    /// whether it did. Puts nothing if the cache does not hold the task.
    async fn renew_task(
        &self,
        id: &RecordId,
        revision: Revision,
        bytes: &[u8],
        ttl: Duration,
    ) -> Result<bool, CacheError>;

    /// Removes a task.
    async fn remove_task(&self, id: &RecordId) -> Result<(), CacheError>;

    /// Begins a new generation after a write of a task or project. Pages of earlier generations
    /// are not found again.
    async fn bump_generation(&self) -> Result<(), CacheError>;

    /// Looks up the page under `key` in the present generation. If that generation is `known`,
    /// the caller has the page already and the cache does not send it.
    async fn fetch_page(&self, key: &str, known: Option<u64>) -> Result<PageLookup, CacheError>;

    /// Keeps a page that was read when the generation was `generation`.
    ///
    /// The store's indexes follow its writes with a delay, so the page may miss the last write.
    /// Within [`INDEX_DELAY`] of a bump, a page is kept for [`FRESH_PAGE_TTL`] only.
    async fn put_page(&self, key: &str, generation: u64, bytes: &[u8]) -> Result<(), CacheError>;

    /// Checks that the cache can be reached.
    async fn ping(&self) -> Result<(), CacheError>;
}

/// How long a page is kept.
pub const PAGE_TTL: Duration = Duration::from_secs(60);
/// How long a page is kept that may miss the last write.
pub const FRESH_PAGE_TTL: Duration = Duration::from_secs(1);
/// The longest time after a write in which the store's indexes may miss it: a generous bound.
pub const INDEX_DELAY: Duration = Duration::from_secs(5);
