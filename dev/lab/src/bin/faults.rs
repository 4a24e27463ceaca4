//! Runs the fault experiments and prints their table. `scripts/faults` builds the programs and runs
//! this.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use clap::Parser;
use lab::faults::fault::Fault;
use lab::faults::harness::Harness;
use lab::faults::outcome::Outcome;
use lab::faults::proxy::Wire;
use lab::faults::report;
use lab::faults::run::{Times, prepare, run};
use lab::faults::tasks::Tasks;
use lab::markdown;
use shared::error::Source;

/// Runs the functions' binaries under load while one fault after another happens to Redis and
/// DynamoDB. Prints a table of the outcomes, and fails if a promise is broken.
#[derive(Debug, Parser)]
#[command(version, name = "faults")]
struct Arguments {
    /// Path of the program api-lambda
    #[arg(long)]
    api: PathBuf,
    /// Path of the program progress-collector
    #[arg(long)]
    collector: PathBuf,
    /// Run one short fault of each kind (less than a minute)
    #[arg(long)]
    short: bool,
    /// Run only faults whose name contains this
    #[arg(long)]
    only: Option<String>,
    /// Duration of each fault in milliseconds [default: 6000, or 1500 with --short]
    #[arg(long)]
    lasts: Option<u64>,
    /// Markdown file in which the table replaces the lines between `<!-- measured -->` and
    /// `<!-- end of measured -->`
    #[arg(long)]
    into: Option<PathBuf>,
}

fn main() -> ExitCode {
    match measure(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let error = shared::error::error_chain(error.as_ref());
            drop(writeln!(io::stderr(), "{error}"));
            ExitCode::FAILURE
        }
    }
}

/// Returns whether all promises were kept.
fn measure(arguments: &Arguments) -> Result<bool, Source> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let (api, collector) = (
        fs::canonicalize(&arguments.api)?,
        fs::canonicalize(&arguments.collector)?,
    );
    let harness = Harness::start(runtime.handle().clone(), &api, &collector)?;
    let tasks = Tasks::new()?;
    prepare(&harness, &tasks)?;
    let (calm_first, calm, lasts) = if arguments.short {
        (2000, 150, 1500)
    } else {
        (5000, 2000, 6000)
    };
    let mut times = Times {
        calm: Duration::from_millis(calm_first),
        fault: Duration::from_millis(arguments.lasts.unwrap_or(lasts)),
    };
    let names = AtomicU64::new(0);
    // First requests are slow.
    let warm_up = Times {
        calm: Duration::from_secs(1),
        fault: Duration::ZERO,
    };
    run(
        &harness,
        &tasks,
        &names,
        Fault::RedisWire(Wire::Whole),
        warm_up,
    )?;
    let mut quiet = Vec::new();
    let mut outcomes = Vec::new();
    let wanted = |fault: &Fault, in_short: bool| match &arguments.only {
        Some(only) => fault.name().contains(only.as_str()),
        None => in_short || !arguments.short,
    };
    for (fault, _) in Fault::ALL
        .into_iter()
        .filter(|(fault, short)| wanted(fault, *short))
    {
        // Repeat an experiment that a busy machine may have disturbed, but never after a lost
        // write.
        for is_last in [false, false, true] {
            let begun = Instant::now();
            let mut observed = run(&harness, &tasks, &names, fault, times)?;
            quiet.append(&mut observed.calm);
            times.calm = Duration::from_millis(calm);
            let outcome = Outcome::of(fault, &observed, &quiet);
            let name = fault.name();
            writeln!(
                io::stderr(),
                "{name}: {:.1} s",
                begun.elapsed().as_secs_f64()
            )?;
            for (broken, _) in &outcome.broken {
                writeln!(io::stderr(), "    {broken}")?;
            }
            if is_last || outcome.broken.is_empty() || !outcome.may_be_machine() {
                outcomes.push((fault, outcome));
                break;
            }
        }
    }
    let table = report::table(&outcomes);
    let text = format!("{}\n{table}", markdown::machine()?);
    io::stdout().write_all(text.as_bytes())?;
    if let Some(file) = &arguments.into {
        markdown::insert(file, &text)?;
    }
    Ok(outcomes
        .iter()
        .all(|(_, outcome)| outcome.broken.is_empty()))
}
