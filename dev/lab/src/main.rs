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

use sections::Section;

/// Measures the functions' release binaries against a function that does nothing, and prints tables.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Path of the program api-lambda
    #[arg(long)]
    api: PathBuf,
    /// Path of the program progress-collector
    #[arg(long)]
    collector: PathBuf,
    /// Path of the no-op, a function that does nothing
    #[arg(long)]
    noop: PathBuf,
    /// Path of the baseline, a collector as one would write it first
    #[arg(long)]
    baseline: PathBuf,
    /// Folder of the arm64 builds: FOLDER/api-lambda/bootstrap, FOLDER/progress-collector/bootstrap
    #[arg(long)]
    arm64: Option<PathBuf>,
    /// Path of the program local, to measure the time from a line to the response
    #[arg(long)]
    local: Option<PathBuf>,
    /// Starts of each function
    #[arg(long, default_value_t = 21)]
    starts: usize,
    /// Invocations of each warm function
    #[arg(long, default_value_t = 2000)]
    invocations: usize,
    /// Numbers of stored tasks for the list measurements, in rising order
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "100,10000,100000,1000000"
    )]
    stored: Vec<usize>,
    /// Numbers of log lines in a sweep, in rising order
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "10000,100000,1000000,10000000"
    )]
    lines: Vec<usize>,
    /// Measure only these
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Section>,
    /// Markdown file in which the tables replace the lines between `<!-- measured -->` and
    /// `<!-- end of measured -->`
    #[arg(long)]
    into: Option<PathBuf>,
}

/// The parts that every section needs.
struct Bench {
    arguments: Arguments,
    services: Services,
    runtime: tokio::runtime::Runtime,
    api: Subject,
    collector: Subject,
    noop: Subject,
    baseline: Subject,
}

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
        text += &section.measure(&bench)?;
    }
    io::stdout().write_all(text.as_bytes())?;
    match &bench.arguments.into {
        Some(file) => Ok(markdown::insert(file, &text)?),
        None => Ok(()),
    }
}
