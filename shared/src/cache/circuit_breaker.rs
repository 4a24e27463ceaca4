//! A circuit breaker: stops calls to a service for a while after several failures in a row.

use std::time::Duration;

use tokio::time::Instant;

/// The failures in a row that open the breaker.
const TOLERATED_FAILURES: u32 = 3;
/// How long the breaker stays open before it admits a trial call. If a stale connection fails the
/// trial, the next trial comes one pause later. Meanwhile other processes may use the service, so
/// the pause must be short.
pub(super) const PAUSE: Duration = Duration::from_millis(700);

/// Closed: all calls pass. Open: no calls pass. Half open: one call at a time passes.
#[derive(Debug, Default)]
pub(super) struct CircuitBreaker {
    /// Failures since the last success.
    failures: u32,
    /// When the next call may pass; `None` while the breaker is closed.
    retry_at: Option<Instant>,
}

impl CircuitBreaker {
    /// Whether a call may be made at `now`.
    pub(super) fn admits(&mut self, now: Instant) -> bool {
        match self.retry_at {
            None => true,
            Some(retry_at) if now < retry_at => false,
            Some(_) => {
                // This call is the trial, and others wait for its outcome. If the trial is dropped,
                // the next one comes after another pause.
                self.retry_at = Some(now + PAUSE);
                true
            }
        }
    }

    /// Whether only trial calls pass.
    pub(super) fn is_open(&self) -> bool {
        self.retry_at.is_some()
    }

    /// Records a response. Returns whether it closed the breaker.
    pub(super) fn succeeded(&mut self) -> bool {
        self.failures = 0;
        self.retry_at.take().is_some()
    }

    /// Records a failure. Returns whether it opened the breaker.
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

    fn opened(at: Instant) -> CircuitBreaker {
        let mut breaker = CircuitBreaker::default();
        assert!(!breaker.failed(at));
        assert!(!breaker.failed(at));
        assert!(breaker.failed(at));
        breaker
    }

    #[test]
    fn it_opens_once_after_several_failures_in_a_row() {
        let start = Instant::now();
        let mut breaker = opened(start);
        assert!(!breaker.admits(start));
        assert!(!breaker.failed(start), "a call that was still under way");
        let mut breaker = CircuitBreaker::default();
        for _ in 0..10 {
            breaker.failed(start);
            breaker.failed(start);
            assert!(!breaker.succeeded());
        }
        assert!(breaker.admits(start));
    }

    #[test]
    fn a_half_open_breaker_admits_one_call_and_closes_on_success() {
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
    fn a_dropped_trial_does_not_keep_the_breaker_open() {
        let start = Instant::now();
        let mut breaker = opened(start);
        assert!(breaker.admits(start + PAUSE));
        assert!(breaker.admits(start + 2 * PAUSE));
    }
}
