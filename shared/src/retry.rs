//! One retry policy for all that the collector asks of CloudWatch Logs. The SDK's own retries are off for that
//! client, or five attempts would become fifteen.

use std::time::Duration;

use tokio_retry::RetryIf;
use tokio_retry::strategy::ExponentialBackoff;

/// How often something is tried, the first time included.
pub const ATTEMPTS: usize = 5;
/// The wait before the second attempt, which doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Tries `action` up to [`ATTEMPTS`] times, while it fails in a way that `is_transient`. Waits 1, 2, 4 and 8
/// seconds, each less a random part of up to a half, so that callers that failed together do not return
/// together. The result is that of the last attempt.
pub async fn with_retries<T, E, F>(
    action: impl FnMut() -> F,
    is_transient: impl FnMut(&E) -> bool,
) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
{
    RetryIf::start(waits(), action, is_transient).await
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

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn what_may_pass_is_tried_five_times_with_growing_waits() {
        let start = Instant::now();
        let mut attempts = Vec::new();
        let action = || {
            attempts.push(start.elapsed());
            async { Err::<(), _>("throttled") }
        };
        assert_eq!(with_retries(action, |_| true).await, Err("throttled"));
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
    async fn what_will_not_pass_is_tried_once() {
        let mut attempts = 0;
        let action = || {
            attempts += 1;
            async { Err::<(), _>("refused") }
        };
        assert_eq!(with_retries(action, |_| false).await, Err("refused"));
        assert_eq!(attempts, 1);
    }
}
