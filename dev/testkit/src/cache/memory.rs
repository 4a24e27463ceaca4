//! A cache in memory, on tokio's clock.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use shared::cache::{Answer, CacheError, CacheKey, HeldAnswer, KEPT_FOR, Lookup, TaskCache};
use shared::validator::Validator;

/// A cache that expires by tokio's clock, which a test can pause and advance.
#[derive(Debug, Default)]
pub struct InMemoryTaskCache {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    answers: HashMap<CacheKey, Kept>,
    generation: u64,
}

/// An answer that expires.
#[derive(Debug)]
struct Kept {
    answer: Answer,
    put_at: Instant,
    age_when_put: Duration,
}

impl Kept {
    fn is_alive(&self) -> bool {
        self.put_at.elapsed() < KEPT_FOR
    }

    fn held(&self, known: &[Validator]) -> HeldAnswer {
        let answer = &self.answer;
        HeldAnswer {
            version: answer.version,
            fresh_for: answer.fresh_for,
            validator: answer.validator.clone(),
            age: self.age_when_put + self.put_at.elapsed(),
            body: (!known.contains(&answer.validator)).then(|| answer.body.clone()),
        }
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
        state.answers.clear();
        state.generation += 1;
    }

    /// The answer that is held, whoever asks.
    pub fn held(&self, key: &CacheKey) -> Option<HeldAnswer> {
        let state = self.lock();
        let kept = state.answers.get(key).filter(|kept| kept.is_alive());
        kept.map(|kept| kept.held(&[]))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl TaskCache for InMemoryTaskCache {
    async fn fetch(&self, key: &CacheKey, known: &[Validator]) -> Result<Lookup, CacheError> {
        let state = self.lock();
        let kept = state.answers.get(key).filter(|kept| kept.is_alive());
        Ok(Lookup {
            generation: match key {
                CacheKey::Run(_) => 0,
                CacheKey::Page(_) => state.generation,
            },
            held: kept.map(|kept| kept.held(known)),
        })
    }

    async fn put(&self, key: &CacheKey, answer: &Answer, age: Duration) -> Result<(), CacheError> {
        let mut state = self.lock();
        let kept = state.answers.get(key).filter(|kept| kept.is_alive());
        if kept.is_none_or(|kept| kept.answer.version <= answer.version) {
            let kept = Kept {
                answer: answer.clone(),
                put_at: Instant::now(),
                age_when_put: age,
            };
            state.answers.insert(key.clone(), kept);
        }
        Ok(())
    }

    async fn remove(&self, key: &CacheKey) -> Result<(), CacheError> {
        self.lock().answers.remove(key);
        Ok(())
    }

    async fn begin_generation(&self) -> Result<(), CacheError> {
        self.lock().generation += 1;
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
    use crate::cache::conformance::run_answer;

    #[tokio::test(start_paused = true)]
    async fn an_answer_grows_old_and_expires() {
        let cache = InMemoryTaskCache::new();
        let key = CacheKey::Run("t".parse().unwrap());
        let (answer, age) = (run_answer(2), Duration::from_secs(3));
        cache.put(&key, &answer, age).await.unwrap();
        advance(Duration::from_secs(4)).await;
        assert_eq!(cache.held(&key).unwrap().age, Duration::from_secs(7));
        advance(KEPT_FOR - Duration::from_secs(4)).await;
        assert_eq!(cache.held(&key), None);
    }
}
