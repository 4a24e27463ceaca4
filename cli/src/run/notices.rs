//! What `progress run` itself prints to standard error. It never cuts a line of the command.

use std::fs::File;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use crate::plain_text::plain;

/// Prints notices between the lines of the command.
pub(crate) struct Notices {
    waiting: Mutex<Vec<String>>,
    screen: Mutex<Screen>,
    is_quiet: bool,
}

struct Screen {
    stderr: File,
    is_at_line_start: bool,
    /// Whether the terminal takes `\n` as it is.
    is_raw: bool,
}

impl Notices {
    pub(crate) fn new(stderr: File, is_quiet: bool) -> Self {
        Self {
            waiting: Mutex::default(),
            screen: Mutex::new(Screen {
                stderr,
                is_at_line_start: true,
                is_raw: false,
            }),
            is_quiet,
        }
    }

    /// Says whether the terminal is in raw mode.
    pub(crate) fn set_raw(&self, is_raw: bool) {
        let mut screen = self.screen.lock().unwrap_or_else(PoisonError::into_inner);
        screen.is_raw = is_raw;
    }

    /// Prints a notice, as soon as the output of the command is at the beginning of a line.
    pub(crate) fn add(&self, text: &str) {
        if self.is_quiet {
            return;
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push(format!("progress: {}", plain(text)));
        drop(waiting);
        // If the output is being written, its thread prints the notice.
        if let Ok(mut screen) = self.screen.try_lock() {
            self.flush(&mut screen, false);
        }
    }

    /// Writes output of the command with `write`, and then the notices.
    pub(crate) fn around<T>(&self, output: &[u8], write: impl FnOnce() -> T) -> T {
        let mut screen = self.screen.lock().unwrap_or_else(PoisonError::into_inner);
        let result = write();
        screen.is_at_line_start = output.ends_with(b"\n");
        self.flush(&mut screen, false);
        result
    }

    /// Prints the notices that are left. The command has ended.
    pub(crate) fn finish(&self) {
        let mut screen = self.screen.lock().unwrap_or_else(PoisonError::into_inner);
        self.flush(&mut screen, true);
    }

    fn flush(&self, screen: &mut Screen, is_end: bool) {
        if !screen.is_at_line_start && !is_end {
            return;
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for notice in waiting.drain(..) {
            let line_end = if screen.is_raw { "\r\n" } else { "\n" };
            let before = if screen.is_at_line_start {
                ""
            } else {
                line_end
            };
            // There is nowhere else to say that standard error is closed.
            drop(write!(screen.stderr, "{before}{notice}{line_end}"));
            screen.is_at_line_start = true;
        }
    }
}
