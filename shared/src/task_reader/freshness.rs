//! How long an answer is shown without asking the store.

use std::time::Duration;

use crate::model::Task;

/// Any answer, unless another constant says otherwise.
pub(super) const FRESH_FOR: Duration = Duration::from_secs(5);
/// The answer about a run that has ended: it seldom changes.
const ENDED_FRESH_FOR: Duration = Duration::from_secs(60);
/// A page after something was written. Many writes a second must not send every reader to the store.
pub(super) const CHANGED_PAGE_FRESH_FOR: Duration = Duration::from_secs(1);

/// How long the answer about `task` is fresh.
pub(super) fn fresh_for(task: &Task) -> Duration {
    match task.status.is_terminal() {
        true => ENDED_FRESH_FOR,
        false => FRESH_FOR,
    }
}
