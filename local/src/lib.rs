//! Miyabi Progress in one process, for a laptop.
//!
//! `serve` follows logs and runs the API on an embedded DynamoDB and a redis-server. `services` runs DynamoDB and
//! Redis for `cargo lambda watch`. Tests use the embedded DynamoDB and the redis-server too.

mod args;
mod banner;
mod cache;
mod data_directory;
mod dynamodb;
pub mod embedded_dynamodb;
mod failure;
mod follow;
mod followed_files;
mod http_server;
mod inputs;
mod live_push;
mod loopback_guard;
mod readiness;
pub mod redis_process;
mod replay;
mod samples;
mod serve;
mod services;
mod shutdown;

use std::env;
use std::process::ExitCode;

use clap::Parser;

/// The log levels if `RUST_LOG` is not set. On a busy laptop, a cache may miss a deadline at any time. Nobody need know:
/// the request goes on without it.
const LOG_FILTER: &str = "warn,shared::task_reader=error";
/// The same without a Redis of the user, whose trouble they want to know about.
const LOG_FILTER_WITHOUT_REDIS: &str = "warn,shared::task_reader=error,shared::cache=error";

/// Runs the command that the arguments of this process name. Returns the exit code.
pub async fn run() -> ExitCode {
    let cli = args::Cli::parse();
    let filter = env::var("RUST_LOG").ok();
    let default = match env::var_os("REDIS_ENDPOINT") {
        Some(_) => LOG_FILTER,
        None => LOG_FILTER_WITHOUT_REDIS,
    };
    shared::telemetry::init(false, filter.as_deref().or(Some(default)));
    let outcome = match cli.command() {
        args::Command::Serve(args) => serve::serve(&args).await,
        args::Command::Services(args) => services::services(&args).await,
    };
    outcome.unwrap_or_else(|failure| failure.report())
}
