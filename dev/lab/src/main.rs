//! Prints what the functions cost. `scripts/bench` builds what this needs and runs it.

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

/// Measures the functions' release binaries against one that does nothing, and prints tables.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The program api-lambda
    #[arg(long)]
    api: PathBuf,
    /// The program progress-collector
    #[arg(long)]
    collector: PathBuf,
    /// The function that does nothing
    #[arg(long)]
    floor: PathBuf,
    /// The collector as one would write it first
    #[arg(long)]
    naive: PathBuf,
    /// The folder with a folder for each function, and in it its arm64 bootstrap
    #[arg(long)]
    arm64: Option<PathBuf>,
    /// The program local, for the time that a line takes
    #[arg(long)]
    local: Option<PathBuf>,
    /// How often each function is started
    #[arg(long, default_value_t = 21)]
    starts: usize,
    /// How often each warm function is invoked
    #[arg(long, default_value_t = 2000)]
    invocations: usize,
    /// How many tasks are stored when lists are measured, in rising order
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "100,10000,100000,1000000"
    )]
    stored: Vec<usize>,
    /// How many log lines a sweep reads, in rising order
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "10000,100000,1000000,10000000"
    )]
    lines: Vec<usize>,
    /// Measure these alone
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Section>,
    /// A Markdown file in which the tables replace what is between the lines `<!-- measured -->` and
    /// `<!-- end of measured -->`
    #[arg(long)]
    into: Option<PathBuf>,
}

/// What every section needs.
struct Bench {
    arguments: Arguments,
    services: Services,
    runtime: tokio::runtime::Runtime,
    api: Subject,
    collector: Subject,
    floor: Subject,
    naive: Subject,
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
        floor: subject(&arguments.floor, Vec::new())?,
        naive: subject(&arguments.naive, services.environment())?,
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
