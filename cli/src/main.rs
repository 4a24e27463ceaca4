//! The binary `progress`.

use std::process::ExitCode;

use clap::Parser;
use cli::args::{Cli, Command};

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Report(args) => match cli::report::report(&args) {
            Ok(has_failed) if has_failed && args.fail_on_error => ExitCode::FAILURE,
            Ok(_) => ExitCode::SUCCESS,
            Err(error) => error.print(),
        },
        Command::Watch(args) => cli::watch::watch(&args),
        Command::List(args) => cli::watch::list(&args),
        #[cfg(unix)]
        Command::Run(args) => cli::run::run(&args),
        #[cfg(not(unix))]
        Command::Run(_) => {
            eprintln!("error: progress run works on Linux and macOS, not on Windows");
            ExitCode::from(2)
        }
    }
}
