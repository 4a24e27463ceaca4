//! Tests of the real program.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[cfg(unix)]
mod data;
#[cfg(unix)]
mod follow;
mod help;
#[cfg(unix)]
mod input;
mod program;
#[cfg(unix)]
mod run;
#[cfg(unix)]
mod security;
#[cfg(unix)]
mod serve;
#[cfg(unix)]
mod services;
#[cfg(unix)]
mod tls;
