//! All random decisions of a run, drawn from one seed.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A random number generator. The same seed gives the same numbers, as long as they are drawn in
/// the same order. Clones share one sequence.
#[derive(Debug, Clone)]
pub(crate) struct Rng(Arc<Mutex<fastrand::Rng>>);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))))
    }

    /// A number in `range`.
    pub(crate) fn number(&self, range: Range<u64>) -> u64 {
        let mut rng = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rng.u64(range)
    }

    /// Whether an event of this probability happens.
    pub(crate) fn chance(&self, percent: u64) -> bool {
        self.number(0..100) < percent
    }

    pub(crate) fn pick<'a, T>(&self, choices: &'a [T]) -> &'a T {
        let end = u64::try_from(choices.len()).unwrap();
        &choices[usize::try_from(self.number(0..end)).unwrap()]
    }

    pub(crate) fn millis(&self, range: Range<u64>) -> Duration {
        Duration::from_millis(self.number(range))
    }

    /// Waits for a random time.
    pub(crate) async fn pause(&self, millis: Range<u64>) {
        tokio::time::sleep(self.millis(millis)).await;
    }
}
