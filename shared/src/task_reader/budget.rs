//! The time that one request may wait for the cache, over all its calls.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tracing::warn;

use crate::cache::CacheError;
use crate::error::error_chain;
use crate::server_timing::for_cache;

/// A little more than the budget of one call, so that a failed call returns its own error. The fill
/// may use only the time that the look-up has left.
const BUDGET: Duration = Duration::from_millis(55);

/// The rest of a request's cache budget.
#[derive(Debug)]
pub(super) struct CacheBudget {
    left: Duration,
}

impl CacheBudget {
    /// The whole budget.
    pub(super) fn new() -> Self {
        Self { left: BUDGET }
    }

    /// Waits for a call within the budget; `None` if it failed or ran out of time.
    pub(super) async fn within<T>(
        &mut self,
        call: impl Future<Output = Result<T, CacheError>>,
    ) -> Option<T> {
        let begun = Instant::now();
        let outcome = for_cache(async {
            match self.left {
                // The first call has its own budget. A second timer would cost a good part of a
                // fast call.
                BUDGET => Ok(call.await),
                left => timeout(left, call).await,
            }
        });
        let outcome = outcome.await;
        self.left = self.left.saturating_sub(begun.elapsed());
        match outcome {
            Ok(outcome) => outcome
                .inspect_err(|error| warn!(error = error_chain(error), "went on without the cache"))
                .ok(),
            Err(_) => {
                warn!("went on without the cache: its time budget is used up");
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
        assert_eq!(
            budget.within(async { Ok(()) }).await,
            Some(()),
            "a call that does not wait"
        );
    }
}
