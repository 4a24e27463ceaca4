//! Records of the requests.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The kind of a request.
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

/// A request and its response.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The kind of the request.
    pub kind: Kind,
    /// The process that responded.
    pub process: usize,
    /// When it was sent.
    pub started: Instant,
    /// How long it took.
    pub took: Duration,
    /// The status of the response; 500 for a function that fails.
    pub status: u16,
    /// Whether the response has a `Retry-After`.
    pub has_retry_after: bool,
    /// How long it waited for the cache, if that is known.
    pub cache: Option<Duration>,
    /// How long it waited for the store, if that is known.
    pub store: Option<Duration>,
    /// Cache errors that the collector reports.
    pub cache_errors: u64,
}

impl Sample {
    /// Whether the response is no server error.
    pub fn is_good(&self) -> bool {
        self.status < 500
    }

    /// Whether the cache worked: it served the response alone, or took all of a push.
    pub fn used_cache(&self) -> bool {
        match self.kind {
            Kind::Task => self.is_good() && self.cache.is_some() && self.store.is_none(),
            Kind::Push => self.is_good() && self.cache_errors == 0,
            Kind::List | Kind::Write => false,
        }
    }

    /// Whether the store worked.
    pub fn used_store(&self) -> bool {
        self.is_good() && (self.store.is_some() || self.kind == Kind::Push)
    }
}

/// All requests, and what was wrong.
#[derive(Debug, Default)]
pub struct Samples {
    samples: Mutex<Vec<Sample>>,
    wrong: Mutex<Vec<String>>,
}

impl Samples {
    /// Records a request.
    pub fn note(&self, sample: Sample) {
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        samples.push(sample);
    }

    /// Records how a response was wrong.
    pub fn note_wrong(&self, what: String) {
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        wrong.push(what);
    }

    /// When each of `processes` had a response after `since` that is as `wanted`. `None` if one had
    /// none.
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

    /// Takes all records.
    pub fn take(&self) -> (Vec<Sample>, Vec<String>) {
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        (std::mem::take(&mut *samples), std::mem::take(&mut *wrong))
    }
}
