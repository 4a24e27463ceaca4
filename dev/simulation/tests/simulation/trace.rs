//! What happens in a run, for who wants to follow it.

use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::time::Duration;

thread_local! {
    static IS_KEPT: Cell<bool> = const { Cell::new(false) };
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// From now on the steps of this thread are kept, or not.
pub(crate) fn keep(is_kept: bool) {
    IS_KEPT.set(is_kept);
}

/// Adds a step.
pub(crate) fn step(elapsed: Duration, who: impl Display, what: impl FnOnce() -> String) {
    if IS_KEPT.get() {
        let line = format!("{:>7} ms  {who}: {}", elapsed.as_millis(), what());
        LINES.with_borrow_mut(|lines| lines.push(line));
    }
}

/// The steps that were kept, leaving none.
pub(crate) fn take() -> Vec<String> {
    LINES.take()
}
