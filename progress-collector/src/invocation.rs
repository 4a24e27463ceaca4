//! When an invocation started and when it must end.

use std::time::Duration;

use shared::model::Timestamp;
use tokio::time::Instant;

/// When an invocation started and when it must end.
#[derive(Debug, Clone, Copy)]
pub struct Invocation {
    /// The time of the wall clock at the start.
    pub now: Timestamp,
    /// When Lambda stops the function; `None` if nothing stops it.
    pub deadline: Option<Instant>,
}

impl Invocation {
    /// When work must end so that `reserve` is left before the deadline.
    pub(crate) fn last_moment(&self, reserve: Duration) -> Option<Instant> {
        let subtract = |deadline: Instant| deadline.checked_sub(reserve).unwrap_or(deadline);
        self.deadline.map(subtract)
    }
}
