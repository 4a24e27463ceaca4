//! A cache that is not believed blindly once it was away.
//!
//! While a cache is away, or takes no writes, the store changes without it; when it is back it still holds what it
//! held. Who has just seen the store's answer must not be shown that older one. So
//! - what the cache failed to be told is made good with the next call: the task is forgotten there, and a generation begins;
//! - after some failures on end, a task that the cache holds counts as a miss until it was put once more, which leaves
//!   there what is newer, and pages are not believed until all who use the cache must have noticed that it is back.
//!
//! Each process does so for itself: it knows of its own failures alone.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use tokio::time::Instant;

use super::breaker::PAUSE;
pub use super::breaker::TOLERATED_FAILURES;
use super::{CacheError, PageLookup, TaskCache};
use crate::model::{Revision, TaskId};

/// For how long a cache may hold what it held when it failed: a task that is over is kept longest, for an hour and its
/// spread.
pub const LONGEST_LIFE: Duration = Duration::from_secs(70 * 60);
/// For how long after a failure nothing that the cache holds is believed, once it answers again: others may have been told
/// to leave it alone, and write without it a little longer than we do: for two pauses, and until they are asked again.
pub const OTHERS_RETURN: Duration = PAUSE.saturating_mul(3);
/// How many tasks are remembered as confirmed, or as owed: those beyond it are read from the store each time, or left to
/// their time to live.
const MOST_REMEMBERED: usize = 10_000;
/// How many tasks are made good at once.
const AT_ONCE: usize = 32;

/// A cache of which this process knows when it has failed.
#[derive(Debug)]
pub struct CautiousTaskCache<C> {
    inner: C,
    doubts: Mutex<Doubts>,
}

#[derive(Debug, Default)]
struct Doubts {
    /// Failures since the last answer.
    failures: u32,
    /// Until when tasks may be held from before the cache was away; `None` if it never was.
    until: Option<Instant>,
    /// From when on a task can be confirmed, and pages be believed; `None` while the cache has not answered since.
    settled_at: Option<Instant>,
    /// Tasks that are known to be no older, though.
    confirmed: BTreeSet<TaskId>,
    /// Tasks whose last write the cache was not told of.
    owed: BTreeSet<TaskId>,
    /// Whether the cache may lack the generation of a write.
    pages: bool,
}

impl Doubts {
    fn note_failure(&mut self) {
        self.failures = self.failures.saturating_add(1);
        // One alone is of a call, and not of the cache: what that call should have told is owed.
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

    /// Whether all who use the cache know that it is there.
    fn is_settled(&self) -> bool {
        let settled_at = self.settled_at;
        self.until.is_none() || settled_at.is_some_and(|at| at <= Instant::now())
    }

    fn is_doubted(&self, task_id: &TaskId) -> bool {
        self.until.is_some_and(|until| Instant::now() < until) && !self.confirmed.contains(task_id)
    }

    fn confirm(&mut self, task_id: &TaskId) {
        if self.until.is_some() && self.is_settled() && self.confirmed.len() < MOST_REMEMBERED {
            self.confirmed.insert(task_id.clone());
        }
    }

    fn owe(&mut self, task_id: &TaskId) {
        if self.owed.len() < MOST_REMEMBERED {
            self.owed.insert(task_id.clone());
        }
    }
}

impl<C: TaskCache> CautiousTaskCache<C> {
    /// `inner`, which has not failed yet.
    pub fn new(inner: C) -> Self {
        Self {
            inner,
            doubts: Mutex::default(),
        }
    }

    /// The cache inside.
    pub fn inner(&self) -> &C {
        &self.inner
    }

    fn doubts(&self) -> MutexGuard<'_, Doubts> {
        self.doubts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a call, and notes whether the cache has failed. What it was not told before is made good beside it, so that
    /// nobody waits twice.
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

    /// As [`call`](Self::call), of a write that concerns one task.
    async fn tell<T: Send>(
        &self,
        task_id: &TaskId,
        call: impl Future<Output = Result<T, CacheError>> + Send,
    ) -> Result<T, CacheError> {
        let owing = self.owing(News::Task(task_id));
        let answer = self.call(call).await?;
        owing.settle();
        self.doubts().confirm(task_id);
        Ok(answer)
    }

    async fn make_good(&self) {
        let (owed, pages) = {
            let doubts = self.doubts();
            let owed: Vec<TaskId> = doubts.owed.iter().take(AT_ONCE).cloned().collect();
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
            .map(|task_id| self.pay(News::Task(task_id), self.inner.remove_task(task_id)));
        tokio::join!(begin_generation, join_all(forget));
    }

    async fn pay(&self, news: News<'_>, call: impl Future<Output = Result<(), CacheError>>) {
        let owing = self.owing(news);
        match call.await {
            Ok(()) => owing.settle(),
            Err(_) => self.doubts().note_failure(),
        }
    }

    /// Who calls this is about to tell the cache `news`.
    fn owing<'a>(&'a self, news: News<'a>) -> Owing<'a> {
        let mut doubts = self.doubts();
        match news {
            News::Task(task_id) => drop(doubts.owed.remove(task_id)),
            // Until then one is true for a moment alone.
            News::Generation => doubts.pages &= !doubts.is_settled(),
        }
        Owing {
            doubts: &self.doubts,
            news: Some(news),
        }
    }
}

/// What the cache is to be told.
#[derive(Debug, Clone, Copy)]
enum News<'a> {
    /// That a task was written.
    Task(&'a TaskId),
    /// That some were.
    Generation,
}

/// Something that the cache is being told. Until that is settled it is owed: also when nobody waits for the end of the
/// call, as a request has no more time for it.
#[derive(Debug)]
struct Owing<'a> {
    doubts: &'a Mutex<Doubts>,
    news: Option<News<'a>>,
}

impl Owing<'_> {
    /// The cache was told.
    fn settle(mut self) {
        self.news = None;
    }
}

impl Drop for Owing<'_> {
    fn drop(&mut self) {
        let Some(news) = self.news else { return };
        let mut doubts = self.doubts.lock().unwrap_or_else(PoisonError::into_inner);
        match news {
            News::Task(task_id) => doubts.owe(task_id),
            News::Generation => doubts.pages = true,
        }
    }
}

#[async_trait]
impl<C: TaskCache> TaskCache for CautiousTaskCache<C> {
    async fn fetch_task(&self, task_id: &TaskId) -> Result<Option<Vec<u8>>, CacheError> {
        let held = self.call(self.inner.fetch_task(task_id)).await?;
        Ok(held.filter(|_| !self.doubts().is_doubted(task_id)))
    }

    async fn fetch_task_as_held(&self, task_id: &TaskId) -> Result<Option<Vec<u8>>, CacheError> {
        self.call(self.inner.fetch_task(task_id)).await
    }

    async fn put_task(
        &self,
        task_id: &TaskId,
        revision: Revision,
        bytes: &[u8],
        ttl: Duration,
    ) -> Result<(), CacheError> {
        let put = self.inner.put_task(task_id, revision, bytes, ttl);
        self.tell(task_id, put).await
    }

    async fn renew_task(
        &self,
        task_id: &TaskId,
        revision: Revision,
        bytes: &[u8],
        ttl: Duration,
    ) -> Result<bool, CacheError> {
        let renewed = self.inner.renew_task(task_id, revision, bytes, ttl);
        self.tell(task_id, renewed).await
    }

    async fn remove_task(&self, task_id: &TaskId) -> Result<(), CacheError> {
        self.tell(task_id, self.inner.remove_task(task_id)).await
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
