//! The binary `progress`.

use std::process::ExitCode;

use clap::Parser;
use cli::args::{Cli, Command};

fn main() -> ExitCode {
    let Command::Report(args) = Cli::parse().command;
    match cli::report::report(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.print(),
    }
}
