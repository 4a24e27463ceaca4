//! Leaves a service alone for a while that has failed several times on end.

use std::time::Duration;

use tokio::time::Instant;

/// After how many failures on end a service is left alone.
pub const TOLERATED_FAILURES: u32 = 3;
/// For how long. Then one call tries whether it is back; where it fails by what a connection has left of the trouble, the
/// one after it. Who has been answered by then waits for the others, so it must not be long.
pub(super) const PAUSE: Duration = Duration::from_millis(700);

/// A circuit breaker: closed while calls pass, open while none do, and half open for one call at a time.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    /// Failures since the last success.
    failures: u32,
    /// When the next call may pass; `None` while it is closed.
    retry_at: Option<Instant>,
}

impl Breaker {
    /// Whether a call may be made at `now`.
    pub(super) fn admits(&mut self, now: Instant) -> bool {
        match self.retry_at {
            None => true,
            Some(retry_at) if now < retry_at => false,
            Some(_) => {
                // This call is the trial. Others wait for its outcome, or, if that never comes because
                // the call was dropped, for the next pause to end.
                self.retry_at = Some(now + PAUSE);
                true
            }
        }
    }

    /// Whether calls are not made, but for trials.
    pub(super) fn is_open(&self) -> bool {
        self.retry_at.is_some()
    }

    /// Notes that a call was answered. Whether this closed the breaker.
    pub(super) fn succeeded(&mut self) -> bool {
        self.failures = 0;
        self.retry_at.take().is_some()
    }

    /// Notes that a call was not answered. Whether this opened the breaker.
    pub(super) fn failed(&mut self, now: Instant) -> bool {
        self.failures = self.failures.saturating_add(1);
        if self.failures < TOLERATED_FAILURES {
            return false;
        }
        self.retry_at.replace(now + PAUSE).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(at: Instant) -> Breaker {
        let mut breaker = Breaker::default();
        assert!(!breaker.failed(at));
        assert!(!breaker.failed(at));
        assert!(breaker.failed(at));
        breaker
    }

    #[test]
    fn it_opens_after_failures_on_end_and_says_so_once() {
        let start = Instant::now();
        let mut breaker = opened(start);
        assert!(!breaker.admits(start));
        assert!(!breaker.failed(start), "a call that was still under way");
        let mut breaker = Breaker::default();
        for _ in 0..10 {
            breaker.failed(start);
            breaker.failed(start);
            assert!(!breaker.succeeded());
        }
        assert!(breaker.admits(start));
    }

    #[test]
    fn half_open_it_admits_one_call_and_closes_on_success() {
        let start = Instant::now();
        let mut breaker = opened(start);
        assert!(breaker.admits(start + PAUSE));
        assert!(!breaker.admits(start + PAUSE));
        assert!(!breaker.failed(start + PAUSE));
        assert!(!breaker.admits(start + PAUSE));
        assert!(breaker.admits(start + 2 * PAUSE));
        assert!(breaker.succeeded());
        assert!(breaker.admits(start + 2 * PAUSE));
    }

    #[test]
    fn a_trial_that_was_dropped_does_not_keep_it_open() {
        let start = Instant::now();
        let mut breaker = opened(start);
        assert!(breaker.admits(start + PAUSE));
        assert!(breaker.admits(start + 2 * PAUSE));
    }
}
