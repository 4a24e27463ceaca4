//! What is measured, a table each.

mod cold;
mod collecting;
mod freshness;
mod lists;
mod sizes;
mod system_calls;
mod warm;

use std::fs;
use std::io;

use clap::ValueEnum;
use shared::error::Source;

use crate::Bench;

/// A table of the bench.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Section {
    /// From the start of a process
    Cold,
    /// An invocation of a function that has had some
    Warm,
    /// A page of the list, by how many tasks are stored
    Lists,
    /// A sweep of the collector
    Collecting,
    /// From a log line to the answer that shows it
    Freshness,
    /// System calls of an invocation
    SystemCalls,
    /// Sizes of programs
    Sizes,
}

impl Section {
    pub(crate) const ALL: [Self; 7] = [
        Self::Sizes,
        Self::Cold,
        Self::Warm,
        Self::SystemCalls,
        Self::Collecting,
        Self::Freshness,
        Self::Lists,
    ];

    /// Measures it; the text has a heading and tables.
    pub(crate) fn measure(self, bench: &Bench) -> Result<String, Source> {
        match self {
            Self::Cold => cold::measure(bench),
            Self::Warm => warm::measure(bench),
            Self::Freshness => freshness::measure(bench),
            Self::Lists => lists::measure(bench),
            Self::Collecting => collecting::measure(bench),
            Self::SystemCalls => system_calls::measure(bench),
            Self::Sizes => sizes::measure(bench),
        }
    }
}

/// On what machine this is, and when.
pub(crate) fn machine() -> io::Result<String> {
    let info = fs::read_to_string("/proc/cpuinfo")?;
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown processor", |line| {
        line.trim_start_matches([' ', '\t', ':'])
    });
    let cores = std::thread::available_parallelism()?;
    let now = shared::model::Timestamp::now().to_string();
    let date = now.get(..10).unwrap_or(&now);
    Ok(format!(
        "Measured on {date}, {} {}, {cores} cores, {model}.\n",
        std::env::consts::OS,
        std::env::consts::ARCH
    ))
}
