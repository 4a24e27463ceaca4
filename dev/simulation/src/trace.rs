//! The steps of a run, recorded for a person to read.

use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::time::Duration;

thread_local! {
    static IS_RECORDING: Cell<bool> = const { Cell::new(false) };
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Starts or stops the recording of this thread.
pub(crate) fn record(is_recording: bool) {
    IS_RECORDING.set(is_recording);
}

/// Records a step.
pub(crate) fn step(elapsed: Duration, actor: impl Display, what: impl FnOnce() -> String) {
    if IS_RECORDING.get() {
        let line = format!("{:>7} ms  {actor}: {}", elapsed.as_millis(), what());
        LINES.with_borrow_mut(|lines| lines.push(line));
    }
}

/// Takes the recorded steps.
pub(crate) fn take() -> Vec<String> {
    LINES.take()
}
