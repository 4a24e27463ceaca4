//! Retry policies: one for requests to CloudWatch Logs, one for writes that lost a race.
//!
//! The SDK's own retries are off for clients that are used behind the first policy. Otherwise five attempts
//! would become fifteen.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use tokio_retry::strategy::ExponentialBackoff;

use crate::store::StoreError;

/// The most attempts of one request, the first included.
pub const ATTEMPTS: usize = 5;
/// The wait before the second attempt. It doubles with each further attempt.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The most attempts of a write against faster writers.
const CONFLICT_ATTEMPTS: u32 = 12;
/// The wait after the first conflict. It grows by the same amount with each further one.
const CONFLICT_WAIT: Duration = Duration::from_millis(5);

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
/// It waits 1, 2, 4 and 8 seconds, each less a random part of up to a half, so that callers that failed
/// together do not return together.
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

/// Repeats `step` (read, decide, write) while another writer is faster, up to 12 times.
///
/// # Errors
///
/// Those of `step`. [`StoreError::Conflict`] means that every attempt lost its race.
pub async fn retry_on_conflict<T>(
    mut step: impl AsyncFnMut() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let mut attempt = 1;
    loop {
        match step().await {
            Err(StoreError::Conflict(_)) if attempt < CONFLICT_ATTEMPTS => {
                sleep(CONFLICT_WAIT * attempt).await;
                attempt += 1;
            }
            outcome => return outcome,
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
        let action = async || Err::<(), _>("refused");
        let retried = with_retries(None, action, |_| false).await;
        let expected = Retried {
            outcome: Some(Err("refused")),
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

    #[tokio::test(start_paused = true)]
    async fn a_write_is_tried_twelve_times_against_faster_writers() {
        let mut attempts = 0;
        let step = async || {
            attempts += 1;
            Err::<(), _>(StoreError::Conflict("task a".to_owned()))
        };
        let outcome = retry_on_conflict(step).await;
        assert!(matches!(outcome, Err(StoreError::Conflict(_))));
        assert_eq!(attempts, 12);
    }
}
