//! Measures how long a request waits for the cache and for the store.

use std::cell::Cell;
use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

/// The time that a request waited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WaitTimes {
    /// The wait for the cache; `None` if it was not called.
    pub cache: Option<Duration>,
    /// The wait for the store; `None` if it was not called.
    pub store: Option<Duration>,
}

tokio::task_local! {
    static WAITS: Cell<WaitTimes>;
}

/// Runs `work` and returns how long it waited inside [`for_cache`] and [`for_store`].
pub async fn measure<T>(work: impl Future<Output = T>) -> (T, WaitTimes) {
    WAITS
        .scope(Cell::default(), async {
            let outcome = work.await;
            (outcome, WAITS.with(Cell::get))
        })
        .await
}

/// Runs a call of the cache and adds its time to the measurement.
pub async fn for_cache<T>(call: impl Future<Output = T>) -> T {
    wait(call, |waits| &mut waits.cache).await
}

/// Runs a call of the store and adds its time to the measurement.
pub async fn for_store<T>(call: impl Future<Output = T>) -> T {
    wait(call, |waits| &mut waits.store).await
}

async fn wait<T>(
    call: impl Future<Output = T>,
    part: impl FnOnce(&mut WaitTimes) -> &mut Option<Duration>,
) -> T {
    let started = Instant::now();
    let outcome = call.await;
    // The collector does not measure.
    let _unmeasured = WAITS.try_with(|cell| {
        let mut waits = cell.get();
        let spent = part(&mut waits);
        *spent = Some(spent.unwrap_or_default() + started.elapsed());
        cell.set(waits);
    });
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waits_are_summed_by_part_and_request() {
        let nap = || tokio::time::sleep(Duration::from_millis(10));
        let (outcome, waits) = measure(async {
            for_cache(nap()).await;
            nap().await;
            for_cache(nap()).await;
            7
        })
        .await;
        let expected = WaitTimes {
            cache: Some(Duration::from_millis(20)),
            store: None,
        };
        assert_eq!((outcome, waits), (7, expected));
        for_store(nap()).await; // measured by nobody
        assert_eq!(measure(async {}).await.1, WaitTimes::default());
    }
}
