//! Retry policies: one for requests to CloudWatch Logs and EventBridge, one for conflicting writes.
//!
//! The SDK's own retries are off in clients behind the first policy. Otherwise five attempts would
//! become fifteen.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tokio_retry::strategy::ExponentialBackoff;

/// The most attempts at one request, the first included.
pub const ATTEMPTS: usize = 5;
/// The wait before the second attempt. It doubles with each further attempt.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The longest wait after the first conflict. It doubles with each further conflict.
const FIRST_CONFLICT_WAIT: Duration = Duration::from_millis(20);
/// The longest wait after any conflict.
const LONGEST_CONFLICT_WAIT: Duration = Duration::from_millis(250);

/// For how long a write is repeated while other writers are faster.
#[derive(Debug, Clone, Copy)]
pub struct ConflictPolicy {
    /// No attempt begins later than this after the first one.
    within: Duration,
}

impl ConflictPolicy {
    /// For log ingest, where nobody waits: several slow attempts. If a task stays busy for longer, a
    /// later invocation reads its lines again.
    pub const INGEST: Self = Self {
        within: Duration::from_secs(10),
    };
    /// For requests of the API: fifty clients that change one task at once all succeed, and API
    /// Gateway and Lambda wait longer than this.
    pub const REQUEST: Self = Self {
        within: Duration::from_millis(4500),
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
    doubling(FIRST_WAIT, LONGEST_WAIT)
        .map(|wait| wait / 2 + (wait / 2).mul_f64(fastrand::f64()))
        .take(ATTEMPTS - 1)
}

/// `first`, twice as much, and so on, at most `longest`.
fn doubling(first: Duration, longest: Duration) -> impl Iterator<Item = Duration> {
    // The strategy's waits are the powers of 2, times the factor.
    let half_ms = u64::try_from(first.as_millis() / 2).unwrap_or(u64::MAX);
    ExponentialBackoff::from_millis(2)
        .factor(half_ms)
        .max_delay(longest)
}

/// Repeats `step` (read, decide, write) while its error `is_conflict`, as long as `policy` allows.
///
/// Each wait is random, from zero to a limit that grows with the number of conflicts. So writers
/// that met each other spread out, and the load on the store falls while they are many.
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
    let deadline = Instant::now() + policy.within;
    let mut waits = doubling(FIRST_CONFLICT_WAIT, LONGEST_CONFLICT_WAIT);
    loop {
        let outcome = step().await;
        let now = Instant::now();
        match (&outcome, waits.next()) {
            (Err(error), Some(wait)) if now < deadline && is_conflict(error) => {
                sleep_until(deadline.min(now + wait.mul_f64(fastrand::f64()))).await;
            }
            _ => return outcome,
        }
    }
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
    async fn a_write_is_repeated_until_the_deadline_with_growing_waits() {
        for policy in [ConflictPolicy::INGEST, ConflictPolicy::REQUEST] {
            let (attempts, took) = attempts_at(policy, "conflict").await;
            let late = took.saturating_sub(policy.within);
            assert!(late <= Duration::from_millis(2), "{took:?}");
            // On average, a wait is half of the longest one.
            let waits = took.as_millis() / LONGEST_CONFLICT_WAIT.as_millis();
            let attempts = u128::from(attempts);
            assert!(
                waits <= attempts && attempts <= 20 + 5 * waits,
                "{attempts}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_is_slow_is_not_repeated_after_the_deadline() {
        let mut attempts = 0;
        let step = || {
            attempts += 1;
            async {
                sleep(ConflictPolicy::REQUEST.within).await;
                Err::<(), _>("conflict")
            }
        };
        let outcome = retry_on_conflict(ConflictPolicy::REQUEST, step, |_| true).await;
        assert_eq!((outcome, attempts), (Err("conflict"), 1));
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_that_is_no_conflict_is_returned_at_once() {
        let outcome = attempts_at(ConflictPolicy::INGEST, "unavailable").await;
        assert_eq!(outcome, (1, Duration::ZERO));
    }
}
