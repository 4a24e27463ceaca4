//! A cache in memory, on tokio's clock.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use shared::cache::{
    CacheError, CacheLookup, FRESH_PAGE_TTL, INDEX_DELAY, PAGE_TTL, PageLookup, TaskCache,
};
use shared::model::{RecordId, Revision};

/// A cache that expires by tokio's clock, which a test can pause and advance.
#[derive(Debug, Default)]
pub struct InMemoryTaskCache {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    tasks: HashMap<RecordId, (Revision, Expiring)>,
    pages: HashMap<(u64, String), Expiring>,
    generation: u64,
    last_bump: Option<Instant>,
}

impl State {
    fn is_settled(&self) -> bool {
        let bumped = self.last_bump;
        bumped.is_none_or(|bumped| bumped.elapsed() >= INDEX_DELAY)
    }
}

/// Bytes that expire.
#[derive(Debug)]
struct Expiring {
    bytes: Vec<u8>,
    expires_at: Instant,
}

impl Expiring {
    fn new(bytes: &[u8], ttl: Duration) -> Self {
        Self {
            bytes: bytes.to_vec(),
            expires_at: Instant::now() + ttl,
        }
    }

    fn is_alive(&self) -> bool {
        Instant::now() < self.expires_at
    }

    fn bytes(&self) -> Option<Vec<u8>> {
        self.is_alive().then(|| self.bytes.clone())
    }
}

impl InMemoryTaskCache {
    /// An empty cache.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets everything, as a restarted Redis does. A new generation begins.
    pub fn lose_all(&self) {
        let mut state = self.lock();
        state.tasks.clear();
        state.pages.clear();
        state.generation += 1;
        state.last_bump = Some(Instant::now());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl TaskCache for InMemoryTaskCache {
    async fn fetch_task(&self, id: &RecordId) -> Result<CacheLookup, CacheError> {
        let state = self.lock();
        let held = state.tasks.get(id);
        let value = held.and_then(|(_, held)| held.bytes());
        Ok(CacheLookup::parse(id, value))
    }

    async fn put_task(
        &self,
        id: &RecordId,
        revision: Revision,
        bytes: &[u8],
        ttl: Duration,
    ) -> Result<(), CacheError> {
        let mut state = self.lock();
        let held = state.tasks.get(id).filter(|(_, held)| held.is_alive());
        if held.is_none_or(|(held, _)| *held <= revision) {
            let task = (revision, Expiring::new(bytes, ttl));
            state.tasks.insert(id.clone(), task);
        }
        Ok(())
    }

    async fn renew_task(
        &self,
        id: &RecordId,
        revision: Revision,
        bytes: &[u8],
        ttl: Duration,
    ) -> Result<bool, CacheError> {
        let mut state = self.lock();
        let held = state.tasks.get_mut(id);
        let Some(held) = held.filter(|(held, task)| task.is_alive() && *held < revision) else {
            return Ok(false);
        };
        *held = (revision, Expiring::new(bytes, ttl));
        Ok(true)
    }

    async fn remove_task(&self, id: &RecordId) -> Result<(), CacheError> {
        self.lock().tasks.remove(id);
        Ok(())
    }

    async fn bump_generation(&self) -> Result<(), CacheError> {
        let mut state = self.lock();
        state.generation += 1;
        state.last_bump = Some(Instant::now());
        Ok(())
    }

    async fn fetch_page(&self, key: &str, known: Option<u64>) -> Result<PageLookup, CacheError> {
        let state = self.lock();
        let generation = state.generation;
        let page = state.pages.get(&(generation, key.to_owned()));
        Ok(PageLookup {
            generation,
            is_settled: state.is_settled(),
            page: page
                .filter(|_| known != Some(generation))
                .and_then(Expiring::bytes),
        })
    }

    async fn put_page(&self, key: &str, generation: u64, bytes: &[u8]) -> Result<(), CacheError> {
        let mut state = self.lock();
        let ttl = if state.is_settled() {
            PAGE_TTL
        } else {
            FRESH_PAGE_TTL
        };
        let page = Expiring::new(bytes, ttl);
        state.pages.insert((generation, key.to_owned()), page);
        Ok(())
    }

    async fn ping(&self) -> Result<(), CacheError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn tasks_and_pages_expire() {
        let cache = InMemoryTaskCache::new();
        let id: RecordId = "t".parse().unwrap();
        let put = cache.put_task(
            &id,
            Revision(2),
            br#"{"task_id":"t","revision":2}"#,
            Duration::from_secs(60),
        );
        put.await.unwrap();
        cache.put_page("all", 0, b"[]").await.unwrap();
        advance(Duration::from_secs(59)).await;
        assert_ne!(cache.fetch_task(&id).await.unwrap(), CacheLookup::Miss);
        assert!(cache.fetch_page("all", None).await.unwrap().page.is_some());
        advance(Duration::from_secs(1)).await;
        assert_eq!(cache.fetch_task(&id).await.unwrap(), CacheLookup::Miss);
        assert!(cache.fetch_page("all", None).await.unwrap().page.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_that_may_miss_a_write_expires_soon() {
        let cache = InMemoryTaskCache::new();
        cache.bump_generation().await.unwrap();
        cache.put_page("all", 1, b"[]").await.unwrap();
        advance(FRESH_PAGE_TTL).await;
        assert!(cache.fetch_page("all", None).await.unwrap().page.is_none());
        assert!(!cache.fetch_page("all", None).await.unwrap().is_settled);
        advance(INDEX_DELAY).await;
        assert!(cache.fetch_page("all", None).await.unwrap().is_settled);
        cache.put_page("all", 1, b"[]").await.unwrap();
        advance(FRESH_PAGE_TTL).await;
        assert!(cache.fetch_page("all", None).await.unwrap().page.is_some());
    }
}
