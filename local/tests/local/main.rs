//! The real program, as a user runs it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod program;
#[cfg(unix)]
mod serve;
#[cfg(unix)]
mod services;
