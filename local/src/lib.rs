//! Miyabi Progress in one process, for a laptop.
//!
//! `serve` runs the collector and the API on an embedded DynamoDB and a redis-server. `services` runs DynamoDB and
//! Redis for `cargo lambda watch`. Tests use the embedded DynamoDB and the redis-server too.

mod args;
mod cache;
mod data_directory;
mod dynamodb;
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

/// The log level if `RUST_LOG` is not set.
const LOG_FILTER: &str = "warn";

/// Runs the command that the arguments of this process name. Returns the exit code.
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
