//! Optimistic concurrency: a write that another writer overtook is tried again.

use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::time::Duration;

use shared::retry::{self, ConflictPolicy};
use shared::store::StoreError;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;

use crate::problem::ApiError;

/// The longest wait for a turn: two calls of the store, with all their attempts.
const LONGEST_TURN_WAIT: Duration = Duration::from_secs(10);

/// The turns of writes in this process.
///
/// On Lambda, a process has one request at a time. A process with many would hinder itself: of fifty
/// writes of one task that run together, one succeeds, and together they are slower.
#[derive(Debug, Default)]
pub(crate) struct Turns([Mutex<()>; 32]);

impl Turns {
    /// Waits until no other request of this process writes the task or project `id`; `None` after a
    /// long wait, because the request before may hang.
    async fn take(&self, id: &(impl Hash + Sync)) -> Option<MutexGuard<'_, ()>> {
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        let number = hasher.finish() % 32;
        let turn = self.0.get(usize::try_from(number).ok()?)?;
        timeout(LONGEST_TURN_WAIT, turn.lock()).await.ok()
    }
}

/// Runs `attempt` again while the store reports a conflict, for at most 4.5 seconds.
///
/// An attempt reads the present state of `id`, decides what it becomes, and writes it. Each waits for
/// its turn.
///
/// # Errors
///
/// The error of the last attempt: [`ApiError::Unavailable`] if every attempt met a conflict.
pub(crate) async fn retry_on_conflict<T, F>(
    turns: &Turns,
    id: &(impl Hash + Sync),
    mut attempt: impl FnMut() -> F,
) -> Result<T, ApiError>
where
    F: Future<Output = Result<T, ApiError>>,
{
    let step = || {
        let attempt = attempt();
        async move {
            let _turn = turns.take(id).await;
            attempt.await
        }
    };
    let is_conflict =
        |error: &ApiError| matches!(error, ApiError::Unavailable(StoreError::Conflict(_)));
    retry::retry_on_conflict(ConflictPolicy::REQUEST, step, is_conflict).await
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures::future::join_all;
    use tokio::time::sleep;

    use super::*;

    /// How often an attempt ran whose first `conflicts` runs met a conflict, and how it ended.
    async fn run(conflicts: u32) -> (u32, Result<(), ApiError>) {
        let mut runs = 0;
        let turns = Turns::default();
        let outcome = retry_on_conflict(&turns, &"a", || {
            runs += 1;
            let is_conflict = runs <= conflicts;
            async move {
                if is_conflict {
                    return Err(StoreError::Conflict("task a".to_owned()).into());
                }
                Ok(())
            }
        });
        let outcome = outcome.await;
        (runs, outcome)
    }

    #[tokio::test(start_paused = true)]
    async fn a_conflict_is_tried_again_for_some_seconds() {
        assert!(matches!(run(0).await, (1, Ok(()))));
        assert!(matches!(run(12).await, (13, Ok(()))));
        let (runs, outcome) = run(u32::MAX).await;
        assert!(matches!(outcome, Err(ApiError::Unavailable(_))));
        assert!(runs < 200, "{runs}");
    }

    #[tokio::test]
    async fn any_other_error_is_returned_at_once() {
        let mut runs = 0;
        let outcome: Result<(), _> = retry_on_conflict(&Turns::default(), &"a", || {
            runs += 1;
            async { Err(ApiError::UnknownPath) }
        })
        .await;
        assert!(matches!(outcome, Err(ApiError::UnknownPath)));
        assert_eq!(runs, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn writes_of_one_task_take_turns() {
        let turns = Turns::default();
        let running = Cell::new(0);
        let writes = (0..50).map(|_| {
            retry_on_conflict(&turns, &"a", async || {
                running.set(running.get() + 1);
                assert_eq!(running.get(), 1);
                sleep(Duration::from_millis(10)).await;
                running.set(running.get() - 1);
                Ok(())
            })
        });
        assert!(join_all(writes).await.iter().all(Result::is_ok));
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_goes_on_if_its_turn_does_not_come() {
        let turns = Turns::default();
        let _hangs = turns.take(&"a").await;
        let outcome = retry_on_conflict(&turns, &"a", async || Ok(())).await;
        assert!(outcome.is_ok());
    }
}
