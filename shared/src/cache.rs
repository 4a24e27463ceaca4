//! The cache in front of the store. Without it, the API gives the same responses, only later.

mod circuit_breaker;
pub mod redis;

use std::time::Duration;

use async_trait::async_trait;

use crate::error::Source;
use crate::model::RecordId;
use crate::validator::Validator;

/// How long a cache keeps an answer. It may be shown for this time if the store is down.
pub const KEPT_FOR: Duration = Duration::from_secs(60 * 60);

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

/// What an answer is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CacheKey {
    /// A run.
    Run(RecordId),
    /// Something that the write of any task or project may change: a page of tasks, a project, the
    /// list of projects.
    Page(String),
}

/// The body of an answer of the API, with what a reader needs to know about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Of a run its revision. Of a page the generation when the reading of it began.
    pub version: u64,
    /// How long the answer may be shown without asking the store.
    pub fresh_for: Duration,
    /// The validator of the body.
    pub validator: Validator,
    /// The body. It is empty if there is no such run any more.
    pub body: Vec<u8>,
}

/// An answer that a cache holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldAnswer {
    /// See [`Answer`].
    pub version: u64,
    /// See [`Answer`].
    pub fresh_for: Duration,
    /// See [`Answer`].
    pub validator: Validator,
    /// The time since the answer was certainly true.
    pub age: Duration,
    /// The body; `None` if the caller knows the validator.
    pub body: Option<Vec<u8>>,
}

/// The result of looking up an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// Of a page: the generation now. Of a run it is 0.
    pub generation: u64,
    /// The answer; `None` on a miss.
    pub held: Option<HeldAnswer>,
}

/// A fast copy of the API's answers. It may lose them at any time.
///
/// Every method returns within the cache's own time budget, with a hit, a miss or an error.
#[async_trait]
pub trait TaskCache: Send + Sync {
    /// Looks up an answer. A caller who has the body with one of the validators `known` does not
    /// get it again.
    async fn fetch(&self, key: &CacheKey, known: &[Validator]) -> Result<Lookup, CacheError>;

    /// Keeps an answer for [`KEPT_FOR`], unless the cache holds a later version. `age` is the time
    /// since the answer was certainly true: since before the store was read or written.
    async fn put(&self, key: &CacheKey, answer: &Answer, age: Duration) -> Result<(), CacheError>;

    /// Removes an answer, whatever its version.
    async fn remove(&self, key: &CacheKey) -> Result<(), CacheError>;

    /// Begins a new generation, after a write of a task or project.
    async fn begin_generation(&self) -> Result<(), CacheError>;

    /// Checks that the cache can be reached.
    async fn ping(&self) -> Result<(), CacheError>;
}
