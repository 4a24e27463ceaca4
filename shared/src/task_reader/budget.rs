//! How long a request that reads may wait for the cache, in all.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tracing::warn;

use super::log_and_ignore;
use crate::cache::CacheError;
use crate::server_timing::for_cache;

/// A little more than a call may take: one that fails is told as such, and what a look-up has taken, the fill may not.
const BUDGET: Duration = Duration::from_millis(55);

/// What is left of it for one request.
#[derive(Debug)]
pub(super) struct CacheBudget {
    left: Duration,
}

impl CacheBudget {
    /// All of it.
    pub(super) fn new() -> Self {
        Self { left: BUDGET }
    }

    /// Waits for a call as long as may be; what it answered, if it did.
    pub(super) async fn within<T>(
        &mut self,
        call: impl Future<Output = Result<T, CacheError>>,
    ) -> Option<T> {
        let begun = Instant::now();
        let outcome = for_cache(async {
            match self.left {
                // The first call is held to its own budget: a timer costs as much as a good part of it.
                BUDGET => Ok(call.await),
                left => timeout(left, call).await,
            }
        });
        let outcome = outcome.await;
        self.left = self.left.saturating_sub(begun.elapsed());
        match outcome {
            Ok(outcome) => log_and_ignore(outcome),
            Err(_) => {
                warn!("went on without the cache, which had its time");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn all_calls_of_a_request_wait_no_longer_than_one() {
        let slow = async || {
            sleep(Duration::from_millis(45)).await;
            Ok(())
        };
        let begun = Instant::now();
        let mut budget = CacheBudget::new();
        assert_eq!(budget.within(slow()).await, Some(()));
        assert_eq!(budget.within(slow()).await, None);
        assert_eq!(budget.within(slow()).await, None);
        assert!(begun.elapsed() <= Duration::from_millis(60));
        assert_eq!(budget.within(async { Ok(()) }).await, Some(()), "at once");
    }
}
