//! The whole of Miyabi Progress in one process, for a laptop.
//!
//! `serve` runs the collector and the API on embedded parts. `services` runs what the two functions need,
//! for `cargo lambda watch`. The embedded DynamoDB and the redis-server process also serve the tests.

mod args;
mod cache;
mod data_directory;
pub mod embedded_dynamodb;
mod failure;
mod file_log_source;
mod follow;
mod inputs;
mod loopback_guard;
pub mod redis_process;
mod replay;
mod samples;
mod serve;
mod services;
mod shutdown;

use std::env;
use std::process::ExitCode;

use clap::Parser;

/// The log level unless `RUST_LOG` is set. The embedded DynamoDB warns of each request that it refuses, such
/// as the creation of a table that exists.
const LOG_FILTER: &str = "warn,dynoxide=error";

/// Runs the command that the arguments of this process name.
pub async fn run() -> ExitCode {
    let cli = args::Cli::parse();
    let filter = env::var("RUST_LOG").ok();
    shared::telemetry::init(false, filter.as_deref().or(Some(LOG_FILTER)));
    let outcome = match cli.command() {
        args::Command::Serve(args) => serve::serve(&args).await,
        args::Command::Services(args) => services::services(&args).await,
    };
    outcome.map_or_else(|failure| failure.report(), |()| ExitCode::SUCCESS)
}
