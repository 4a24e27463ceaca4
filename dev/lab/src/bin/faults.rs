//! Prints what the functions do while Redis or DynamoDB have trouble. `scripts/faults` builds what this needs and runs it.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use clap::Parser;
use lab::faults::fault::Fault;
use lab::faults::proxy::Wire;
use lab::faults::report;
use lab::faults::run::{Times, prepare, run};
use lab::faults::truth::Truth;
use lab::faults::verdict::Verdict;
use lab::faults::world::World;
use lab::markdown;
use shared::error::Source;

/// Runs the functions' real programs under load, has one fault after another happen to Redis and DynamoDB, and prints a
/// table of what came of each. Fails if a budget is broken.
#[derive(Debug, Parser)]
#[command(version, name = "faults")]
struct Arguments {
    /// The program api-lambda
    #[arg(long)]
    api: PathBuf,
    /// The program progress-collector
    #[arg(long)]
    collector: PathBuf,
    /// One fault of each kind, shortly: less than a minute
    #[arg(long)]
    short: bool,
    /// Only faults whose name in the table has this in it
    #[arg(long)]
    only: Option<String>,
    /// How long each fault lasts, in milliseconds [default: 6000; 1500 in the short form]
    #[arg(long)]
    lasts: Option<u64>,
    /// A Markdown file in which the table replaces what is between the lines `<!-- measured -->` and
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

/// Whether all budgets were kept.
fn measure(arguments: &Arguments) -> Result<bool, Source> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let (api, collector) = (
        fs::canonicalize(&arguments.api)?,
        fs::canonicalize(&arguments.collector)?,
    );
    let world = World::start(runtime.handle().clone(), &api, &collector)?;
    let truth = Truth::default();
    prepare(&world, &truth)?;
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
    // What happens for the first time takes longer.
    let warm_up = Times {
        calm: Duration::from_secs(1),
        fault: Duration::ZERO,
    };
    run(
        &world,
        &truth,
        &names,
        Fault::RedisWire(Wire::Whole),
        warm_up,
    )?;
    let mut quiet = Vec::new();
    let mut verdicts = Vec::new();
    let wanted = |fault: &Fault, in_short: bool| match &arguments.only {
        Some(only) => fault.name().contains(only.as_str()),
        None => in_short || !arguments.short,
    };
    for (fault, _) in Fault::ALL
        .into_iter()
        .filter(|(fault, short)| wanted(fault, *short))
    {
        // What a busy machine may have broken has another chance. What is lost has none.
        for is_last in [false, false, true] {
            let begun = Instant::now();
            let mut outcome = run(&world, &truth, &names, fault, times)?;
            quiet.append(&mut outcome.calm);
            times.calm = Duration::from_millis(calm);
            let verdict = Verdict::of(fault, &outcome, &quiet);
            let name = fault.name();
            writeln!(
                io::stderr(),
                "{name}: {:.1} s",
                begun.elapsed().as_secs_f64()
            )?;
            for (broken, _) in &verdict.broken {
                writeln!(io::stderr(), "    {broken}")?;
            }
            if is_last || verdict.broken.is_empty() || !verdict.may_be_machine() {
                verdicts.push((fault, verdict));
                break;
            }
        }
    }
    let table = report::table(&verdicts);
    let text = format!("{}\n{table}", markdown::machine()?);
    io::stdout().write_all(text.as_bytes())?;
    if let Some(file) = &arguments.into {
        markdown::insert(file, &text)?;
    }
    Ok(verdicts
        .iter()
        .all(|(_, verdict)| verdict.broken.is_empty()))
}
