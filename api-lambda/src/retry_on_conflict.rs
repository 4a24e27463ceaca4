//! Optimistic concurrency: a write that another writer overtook is tried again.

use shared::retry::{self, ConflictPolicy};
use shared::store::StoreError;

use crate::problem::ApiError;

/// Runs `attempt` again while the store reports a conflict, at most eight times.
///
/// An attempt reads the present state, decides what it becomes, and writes it.
///
/// # Errors
///
/// The error of the last attempt: [`ApiError::Unavailable`] if every attempt met a conflict.
pub(crate) async fn retry_on_conflict<T, F>(attempt: impl FnMut() -> F) -> Result<T, ApiError>
where
    F: Future<Output = Result<T, ApiError>>,
{
    let is_conflict =
        |error: &ApiError| matches!(error, ApiError::Unavailable(StoreError::Conflict(_)));
    retry::retry_on_conflict(ConflictPolicy::REQUEST, attempt, is_conflict).await
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_ATTEMPTS: u32 = 8;

    /// How often an attempt ran whose first `conflicts` runs met a conflict, and how it ended.
    async fn run(conflicts: u32) -> (u32, Result<(), ApiError>) {
        let mut runs = 0;
        let outcome = retry_on_conflict(|| {
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

    #[tokio::test]
    async fn a_conflict_is_tried_again_a_few_times() {
        assert!(matches!(run(0).await, (1, Ok(()))));
        assert!(matches!(run(3).await, (4, Ok(()))));
        assert!(matches!(
            run(MAX_ATTEMPTS - 1).await,
            (MAX_ATTEMPTS, Ok(()))
        ));
        assert!(matches!(
            run(u32::MAX).await,
            (MAX_ATTEMPTS, Err(ApiError::Unavailable(_)))
        ));
    }

    #[tokio::test]
    async fn any_other_error_is_returned_at_once() {
        let mut runs = 0;
        let outcome: Result<(), _> = retry_on_conflict(|| {
            runs += 1;
            async { Err(ApiError::UnknownPath) }
        })
        .await;
        assert!(matches!(outcome, Err(ApiError::UnknownPath)));
        assert_eq!(runs, 1);
    }
}
