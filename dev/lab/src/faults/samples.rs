//! What is noted of each request.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `GET` of a task.
    Task,
    /// `GET` of a list.
    List,
    /// Anything that writes.
    Write,
    /// An invocation of the collector.
    Push,
}

/// A request and what came of it.
#[derive(Debug, Clone)]
pub struct Sample {
    /// What was asked for.
    pub kind: Kind,
    /// Which process answered.
    pub process: usize,
    /// When it was asked.
    pub started: Instant,
    /// How long it took.
    pub took: Duration,
    /// The status of the answer; 500 for a function that fails.
    pub status: u16,
    /// Whether the answer says when to try again.
    pub has_retry_after: bool,
    /// How long it waited for the cache; `None` if it did not, or does not tell.
    pub cache: Option<Duration>,
    /// How long it waited for the store; `None` if it did not, or does not tell.
    pub store: Option<Duration>,
    /// What the cache failed to take, as far as it is told.
    pub cache_errors: u64,
}

impl Sample {
    /// Whether it was answered as it is when all is well.
    pub fn is_good(&self) -> bool {
        self.status < 500
    }

    /// Whether the cache was of use: an answer that came from it alone, or a push that it has taken wholly.
    pub fn used_cache(&self) -> bool {
        match self.kind {
            Kind::Task => self.is_good() && self.cache.is_some() && self.store.is_none(),
            Kind::Push => self.is_good() && self.cache_errors == 0,
            Kind::List | Kind::Write => false,
        }
    }

    /// Whether the store was of use.
    pub fn used_store(&self) -> bool {
        self.is_good() && (self.store.is_some() || self.kind == Kind::Push)
    }
}

/// All that was noted, and what was wrong.
#[derive(Debug, Default)]
pub struct Samples {
    samples: Mutex<Vec<Sample>>,
    wrong: Mutex<Vec<String>>,
}

impl Samples {
    /// Notes a request.
    pub fn note(&self, sample: Sample) {
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        samples.push(sample);
    }

    /// Notes that an answer was wrong, and how.
    pub fn note_wrong(&self, what: String) {
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        wrong.push(what);
    }

    /// Whether all of `processes` were asked after `since`, and one of the answers of each is as `wanted`.
    pub fn all_are(
        &self,
        processes: usize,
        since: Instant,
        wanted: impl Fn(&Sample) -> bool,
    ) -> Option<Instant> {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = samples
            .iter()
            .rev()
            .take_while(|sample| sample.started + Duration::from_secs(10) > since);
        let good: Vec<&Sample> = recent
            .filter(|sample| sample.started >= since && wanted(sample))
            .collect();
        let first_of = |process| {
            let of_it = good.iter().filter(|sample| sample.process == process);
            of_it.map(|sample| sample.started + sample.took).min()
        };
        let firsts: Option<Vec<Instant>> = (0..processes).map(first_of).collect();
        firsts?.into_iter().max()
    }

    /// Takes all out.
    pub fn take(&self) -> (Vec<Sample>, Vec<String>) {
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        (std::mem::take(&mut *samples), std::mem::take(&mut *wrong))
    }
}
