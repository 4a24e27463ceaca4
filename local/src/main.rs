//! The whole of Miyabi Progress in one process, for a laptop.
//!
//! `serve` runs the collector and the API on embedded parts; `report` reads logs once and prints the tasks
//! in them; `services` runs what the two functions need, for `cargo lambda watch`.

mod cache;
mod cli;
mod embedded_dynamodb;
mod failure;
mod follow;
mod inputs;
mod replay;
mod report;
mod samples;
mod serve;
mod services;
mod shutdown;
mod table;

use std::env;
use std::process::ExitCode;

use clap::Parser;

/// What is logged unless `RUST_LOG` says otherwise. The embedded DynamoDB warns of each request it refuses,
/// such as that for a table which is there already; who asked says what matters of that.
const LOG_FILTER: &str = "warn,dynoxide=error";

#[tokio::main]
async fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let filter = env::var("RUST_LOG").ok();
    shared::telemetry::init(false, filter.as_deref().or(Some(LOG_FILTER)));
    let outcome = match cli.command() {
        cli::Command::Serve(args) => serve::serve(&args).await,
        cli::Command::Report(args) => report::report(&args).await,
        cli::Command::Services(args) => services::services(&args).await,
    };
    outcome.map_or_else(|failure| failure.report(), |()| ExitCode::SUCCESS)
}
