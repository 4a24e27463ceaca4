//! What is measured, a table each.

mod cold;
mod collecting;
mod freshness;
mod lists;
mod sizes;
mod system_calls;
mod warm;

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
