//! Measures the functions and prints tables. `scripts/bench` builds the programs and runs this.

mod sections;

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use lab::markdown;
use lab::measure::Subject;
use lab::services::Services;
use shared::error::Source;

use sections::bench::{Arguments, Bench};
use sections::measure;
use sections::section::Section;

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            drop(writeln!(
                io::stderr(),
                "{}",
                shared::error::error_chain(error.as_ref())
            ));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Source> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let services = runtime.block_on(Services::start())?;
    let subject = |program: &PathBuf, environment| -> io::Result<Subject> {
        Ok(Subject {
            program: fs::canonicalize(program)?,
            environment,
        })
    };
    let bench = Bench {
        api: subject(&arguments.api, services.environment())?,
        collector: subject(&arguments.collector, services.environment())?,
        noop: subject(&arguments.noop, Vec::new())?,
        baseline: subject(&arguments.baseline, services.environment())?,
        arguments,
        services,
        runtime,
    };
    let wanted = |section: &Section| {
        bench.arguments.only.is_empty() || bench.arguments.only.contains(section)
    };
    let mut text = markdown::machine()?;
    for section in Section::ALL.iter().filter(|section| wanted(section)) {
        writeln!(io::stderr(), "measuring {section:?} ...")?;
        text += &measure(*section, &bench)?;
    }
    io::stdout().write_all(text.as_bytes())?;
    match &bench.arguments.into {
        Some(file) => Ok(markdown::insert(file, &text)?),
        None => Ok(()),
    }
}
