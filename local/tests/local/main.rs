//! The real program, as a user runs it.

mod program;
mod report;
#[cfg(unix)]
mod serve;
#[cfg(unix)]
mod services;
