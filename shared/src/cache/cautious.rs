//! Guards against stale values after an outage of the cache.
//!
//! While Redis is down or rejects writes, the store changes and the cache keeps old values. A
//! client that has seen a response from the store must not see an older one later. So:
//! - If a write to the cache fails, the next call makes up for it: it removes the task from the
//!   cache, or begins the generation.
//! - After several failures in a row, cached tasks count as misses until they are put again.
//!   `put_task` keeps the later revision.
//! - After several failures in a row, cached pages are ignored until all processes have noticed
//!   that Redis is back.
//!
//! Each process knows only its own failures.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use tokio::time::Instant;

use super::circuit_breaker::PAUSE;
pub use super::circuit_breaker::TOLERATED_FAILURES;
use super::{CacheError, CacheLookup, PageLookup, TaskCache};
use crate::model::{RecordId, Revision};

/// The longest time that the cache keeps a value: an hour for a finished task, plus jitter.
pub const LONGEST_LIFE: Duration = Duration::from_secs(70 * 60);
/// After Redis recovers, ignore cached values this long. Other processes may still have an open
/// circuit breaker and write to the store alone: for two pauses, and until their next call.
pub const OTHERS_RETURN: Duration = PAUSE.saturating_mul(3);
/// The most task ids in each set. Further tasks are read from the store, or expire in the cache.
const MOST_REMEMBERED: usize = 10_000;
/// The most failed writes that one call makes up for.
const AT_ONCE: usize = 32;

/// A cache that tracks its own failures.
#[derive(Debug)]
pub struct CautiousTaskCache<C> {
    inner: C,
    doubts: Mutex<Doubts>,
}

#[derive(Debug, Default)]
struct Doubts {
    /// Failures since the last response.
    failures: u32,
    /// Until when the cache may hold tasks from before the outage; `None` if there was no outage.
    until: Option<Instant>,
    /// When cached tasks and pages count again; `None` until the cache has responded after an
    /// outage.
    settled_at: Option<Instant>,
    /// Tasks that were put since the outage.
    confirmed: BTreeSet<RecordId>,
    /// Tasks whose last write to the cache failed.
    owed: BTreeSet<RecordId>,
    /// Whether the cache may have missed a generation.
    pages: bool,
}

impl Doubts {
    fn note_failure(&mut self) {
        self.failures = self.failures.saturating_add(1);
        // A single failure concerns one call. The next call makes up for its write.
        if self.failures >= TOLERATED_FAILURES {
            self.until = Some(Instant::now() + LONGEST_LIFE);
            self.settled_at = None;
            self.confirmed.clear();
            self.pages = true;
        }
    }

    fn note_answer(&mut self) {
        self.failures = 0;
        if self.until.is_some() && self.settled_at.is_none() {
            self.settled_at = Some(Instant::now() + OTHERS_RETURN);
        }
    }

    /// Whether all processes have noticed that the cache is back.
    fn is_settled(&self) -> bool {
        let settled_at = self.settled_at;
        self.until.is_none() || settled_at.is_some_and(|at| at <= Instant::now())
    }

    fn is_doubted(&self, id: &RecordId) -> bool {
        self.until.is_some_and(|until| Instant::now() < until) && !self.confirmed.contains(id)
    }

    fn confirm(&mut self, id: &RecordId) {
        if self.until.is_some() && self.is_settled() && self.confirmed.len() < MOST_REMEMBERED {
            self.confirmed.insert(id.clone());
        }
    }

    fn owe(&mut self, id: &RecordId) {
        if self.owed.len() < MOST_REMEMBERED {
            self.owed.insert(id.clone());
        }
    }
}

impl<C: TaskCache> CautiousTaskCache<C> {
    /// Wraps `inner`, which has not failed yet.
    pub fn new(inner: C) -> Self {
        Self {
            inner,
            doubts: Mutex::default(),
        }
    }

    /// The wrapped cache.
    pub fn inner(&self) -> &C {
        &self.inner
    }

    fn doubts(&self) -> MutexGuard<'_, Doubts> {
        self.doubts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a call and records whether it failed. Makes up for earlier failed writes at the same
    /// time, so that the request waits once.
    async fn call<T: Send>(
        &self,
        call: impl Future<Output = Result<T, CacheError>> + Send,
    ) -> Result<T, CacheError> {
        let (outcome, ()) = tokio::join!(call, self.make_good());
        match &outcome {
            Ok(_) => self.doubts().note_answer(),
            Err(_) => self.doubts().note_failure(),
        }
        outcome
    }

    /// Makes a call that writes one task. If it fails, a later call makes up for it.
    async fn tell<T: Send>(
        &self,
        id: &RecordId,
        call: impl Future<Output = Result<T, CacheError>> + Send,
    ) -> Result<T, CacheError> {
        let owing = self.owing(News::Task(id));
        let answer = self.call(call).await?;
        owing.settle();
        self.doubts().confirm(id);
        Ok(answer)
    }

    async fn make_good(&self) {
        let (owed, pages) = {
            let doubts = self.doubts();
            let owed: Vec<RecordId> = doubts.owed.iter().take(AT_ONCE).cloned().collect();
            (owed, doubts.pages && doubts.is_settled())
        };
        if owed.is_empty() && !pages {
            return;
        }
        let begin_generation = async {
            if pages {
                let bump = self.inner.bump_generation();
                self.pay(News::Generation, bump).await;
            }
        };
        let forget = owed
            .iter()
            .map(|id| self.pay(News::Task(id), self.inner.remove_task(id)));
        tokio::join!(begin_generation, join_all(forget));
    }

    async fn pay(&self, news: News<'_>, call: impl Future<Output = Result<(), CacheError>>) {
        let owing = self.owing(news);
        match call.await {
            Ok(()) => owing.settle(),
            Err(_) => self.doubts().note_failure(),
        }
    }

    /// Records that a write is about to be sent to the cache.
    fn owing<'a>(&'a self, news: News<'a>) -> Owing<'a> {
        let mut doubts = self.doubts();
        match news {
            News::Task(id) => drop(doubts.owed.remove(id)),
            // Before that, a new generation protects readers for a moment only.
            News::Generation => doubts.pages &= !doubts.is_settled(),
        }
        Owing {
            doubts: &self.doubts,
            news: Some(news),
        }
    }
}

/// A write that the cache must receive.
#[derive(Debug, Clone, Copy)]
enum News<'a> {
    /// One task was written.
    Task(&'a RecordId),
    /// A generation must begin.
    Generation,
}

/// A write that is being sent to the cache. Until it succeeds it counts as failed, also if the
/// request runs out of time and drops the call.
#[derive(Debug)]
struct Owing<'a> {
    doubts: &'a Mutex<Doubts>,
    news: Option<News<'a>>,
}

impl Owing<'_> {
    /// The write succeeded.
    fn settle(mut self) {
        self.news = None;
    }
}

impl Drop for Owing<'_> {
    fn drop(&mut self) {
        let Some(news) = self.news else { return };
        let mut doubts = self.doubts.lock().unwrap_or_else(PoisonError::into_inner);
        match news {
            News::Task(id) => doubts.owe(id),
            News::Generation => doubts.pages = true,
        }
    }
}

#[async_trait]
impl<C: TaskCache> TaskCache for CautiousTaskCache<C> {
    async fn fetch_task(&self, id: &RecordId) -> Result<CacheLookup, CacheError> {
        let lookup = self.call(self.inner.fetch_task(id)).await?;
        Ok(match self.doubts().is_doubted(id) {
            true => CacheLookup::Miss,
            false => lookup,
        })
    }

    async fn fetch_task_as_held(&self, id: &RecordId) -> Result<CacheLookup, CacheError> {
        self.call(self.inner.fetch_task(id)).await
    }

    async fn put_task(
        &self,
        id: &RecordId,
        revision: Revision,
        bytes: &[u8],
        ttl: Duration,
    ) -> Result<(), CacheError> {
        let put = self.inner.put_task(id, revision, bytes, ttl);
        self.tell(id, put).await
    }

    async fn renew_task(
        &self,
        id: &RecordId,
        revision: Revision,
        bytes: &[u8],
        ttl: Duration,
    ) -> Result<bool, CacheError> {
        let renewed = self.inner.renew_task(id, revision, bytes, ttl);
        self.tell(id, renewed).await
    }

    async fn remove_task(&self, id: &RecordId) -> Result<(), CacheError> {
        self.tell(id, self.inner.remove_task(id)).await
    }

    async fn bump_generation(&self) -> Result<(), CacheError> {
        let owing = self.owing(News::Generation);
        self.call(self.inner.bump_generation()).await?;
        owing.settle();
        Ok(())
    }

    async fn fetch_page(&self, key: &str, known: Option<u64>) -> Result<PageLookup, CacheError> {
        let may_be_old = self.doubts().pages;
        if may_be_old {
            self.bump_generation().await?;
        }
        self.call(self.inner.fetch_page(key, known)).await
    }

    async fn put_page(&self, key: &str, generation: u64, bytes: &[u8]) -> Result<(), CacheError> {
        self.call(self.inner.put_page(key, generation, bytes)).await
    }

    async fn ping(&self) -> Result<(), CacheError> {
        self.call(self.inner.ping()).await
    }
}
