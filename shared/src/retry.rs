//! Retry policies: one for requests to CloudWatch Logs and EventBridge, one for conflicting writes.
//!
//! The SDK's own retries are off in clients behind the first policy. Otherwise five attempts would
//! become fifteen.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use tokio_retry::strategy::ExponentialBackoff;

/// The most attempts at one request, the first included.
pub const ATTEMPTS: usize = 5;
/// The wait before the second attempt. It doubles with each further attempt.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How often a write is repeated while other writers are faster.
#[derive(Debug, Clone, Copy)]
pub struct ConflictPolicy {
    /// The most attempts, the first included.
    attempts: u32,
    /// The wait after the first conflict. It grows by the same amount with each further one.
    wait: Duration,
}

impl ConflictPolicy {
    /// For log ingest: several collectors may save the same task at once, and no client waits.
    pub const INGEST: Self = Self {
        attempts: 12,
        wait: Duration::from_millis(5),
    };
    /// For requests of the API: a client waits for the response, so there is no pause.
    pub const REQUEST: Self = Self {
        attempts: 8,
        wait: Duration::ZERO,
    };
}

/// How a retried action ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retried<T, E> {
    /// The result of the last attempt; `None` if the deadline came first.
    pub outcome: Option<Result<T, E>>,
    /// How many attempts were begun.
    pub attempts: u64,
}

/// Tries `action` up to [`ATTEMPTS`] times while its error `is_transient`, and stops at `deadline`.
///
/// It waits 1, 2, 4 and 8 seconds. Each wait is shortened at random, by up to a half, so that
/// callers that failed together do not return together.
pub async fn with_retries<T, E>(
    deadline: Option<Instant>,
    mut action: impl AsyncFnMut() -> Result<T, E>,
    is_transient: impl Fn(&E) -> bool,
) -> Retried<T, E> {
    let mut attempts = 0;
    let attempts_made = &mut attempts;
    let retried = async move {
        let mut waits = waits();
        loop {
            *attempts_made += 1;
            let outcome = action().await;
            let is_final = !matches!(&outcome, Err(error) if is_transient(error));
            match waits.next() {
                Some(wait) if !is_final => sleep(wait).await,
                _ => return outcome,
            }
        }
    };
    let outcome = match deadline {
        Some(deadline) => timeout_at(deadline, retried).await.ok(),
        None => Some(retried.await),
    };
    Retried { outcome, attempts }
}

fn waits() -> impl Iterator<Item = Duration> {
    // The strategy's waits are the powers of 2, times the factor.
    let half_ms = u64::try_from(FIRST_WAIT.as_millis() / 2).unwrap_or(u64::MAX);
    let waits = ExponentialBackoff::from_millis(2)
        .factor(half_ms)
        .max_delay(LONGEST_WAIT);
    waits
        .map(|wait| wait / 2 + (wait / 2).mul_f64(fastrand::f64()))
        .take(ATTEMPTS - 1)
}

/// Repeats `step` (read, decide, write) while its error `is_conflict`, as often as `policy` allows.
///
/// # Errors
///
/// The error of the last attempt. It is a conflict if every attempt lost its race.
pub async fn retry_on_conflict<T, E, F>(
    policy: ConflictPolicy,
    mut step: impl FnMut() -> F,
    is_conflict: impl Fn(&E) -> bool,
) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
{
    for attempt in 1..policy.attempts {
        match step().await {
            Err(error) if is_conflict(&error) => {}
            outcome => return outcome,
        }
        if !policy.wait.is_zero() {
            sleep(policy.wait * attempt).await;
        }
    }
    step().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn a_transient_error_is_retried_four_times_with_growing_waits() {
        let start = Instant::now();
        let mut attempts = Vec::new();
        let action = async || {
            attempts.push(start.elapsed());
            Err::<(), _>("throttled")
        };
        let retried = with_retries(None, action, |_| true).await;
        assert_eq!(retried.outcome, Some(Err("throttled")));
        assert_eq!(retried.attempts, 5);
        assert_eq!(attempts.len(), ATTEMPTS);
        let waits = attempts.windows(2).map(|pair| pair[1] - pair[0]);
        for (wait, seconds) in waits.zip([1, 2, 4, 8]) {
            let longest = Duration::from_secs(seconds) + Duration::from_millis(5);
            assert!(
                longest / 2 <= wait + Duration::from_millis(5) && wait <= longest,
                "{wait:?}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_permanent_error_is_not_retried() {
        let action = async || Err::<(), _>("permanent");
        let retried = with_retries(None, action, |_| false).await;
        let expected = Retried {
            outcome: Some(Err("permanent")),
            attempts: 1,
        };
        assert_eq!(retried, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_that_the_deadline_cuts_off_are_counted() {
        let deadline = Instant::now() + Duration::from_millis(100);
        let action = async || -> Result<(), &str> { std::future::pending().await };
        let retried = with_retries(Some(deadline), action, |_| true).await;
        let expected = Retried {
            outcome: None,
            attempts: 1,
        };
        assert_eq!(retried, expected);
    }

    /// How often a step that always fails with `error` was tried, and for how long.
    async fn attempts_at(policy: ConflictPolicy, error: &'static str) -> (u32, Duration) {
        let start = Instant::now();
        let mut attempts = 0;
        let step = || {
            attempts += 1;
            async move { Err::<(), _>(error) }
        };
        let outcome = retry_on_conflict(policy, step, |error| *error == "conflict").await;
        assert_eq!(outcome, Err(error));
        (attempts, start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn ingest_tries_a_write_twelve_times_with_growing_waits() {
        let (attempts, took) = attempts_at(ConflictPolicy::INGEST, "conflict").await;
        assert_eq!(attempts, 12);
        let waits = Duration::from_millis(5 * (1..=11).sum::<u64>());
        assert!(waits <= took && took <= waits + Duration::from_millis(11));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_tries_a_write_eight_times_without_waits() {
        let outcome = attempts_at(ConflictPolicy::REQUEST, "conflict").await;
        assert_eq!(outcome, (8, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_that_is_no_conflict_is_returned_at_once() {
        let outcome = attempts_at(ConflictPolicy::INGEST, "unavailable").await;
        assert_eq!(outcome, (1, Duration::ZERO));
    }
}
