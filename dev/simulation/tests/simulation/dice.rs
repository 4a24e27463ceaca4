//! All that is left to chance, from one seed.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Dice that fall the same way for the same seed, as long as they are thrown in the same order. Clones are the same
/// dice.
#[derive(Debug, Clone)]
pub(crate) struct Dice(Arc<Mutex<fastrand::Rng>>);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))))
    }

    /// A number in `range`.
    pub(crate) fn number(&self, range: Range<u64>) -> u64 {
        let mut dice = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        dice.u64(range)
    }

    /// Whether what happens in so many of a hundred cases does.
    pub(crate) fn chance(&self, percent: u64) -> bool {
        self.number(0..100) < percent
    }

    pub(crate) fn pick<'a, T>(&self, choices: &'a [T]) -> &'a T {
        let most = u64::try_from(choices.len()).unwrap();
        &choices[usize::try_from(self.number(0..most)).unwrap()]
    }

    pub(crate) fn millis(&self, range: Range<u64>) -> Duration {
        Duration::from_millis(self.number(range))
    }

    /// Lets some time pass.
    pub(crate) async fn pause(&self, millis: Range<u64>) {
        tokio::time::sleep(self.millis(millis)).await;
    }
}
