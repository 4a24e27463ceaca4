//! The names of the measurements.

use clap::ValueEnum;

/// A table of the bench.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Section {
    /// Cold starts
    Cold,
    /// Invocations of a warm function
    Warm,
    /// A page of the list, by the number of stored tasks
    Lists,
    /// Sweeps of the collector
    Collecting,
    /// The time from a log line to the response that shows it
    Freshness,
    /// Many who watch: the time until all are told of a change
    Viewers,
    /// System calls of an invocation
    SystemCalls,
    /// Sizes of the programs
    Sizes,
}

impl Section {
    pub(crate) const ALL: [Self; 8] = [
        Self::Sizes,
        Self::Cold,
        Self::Warm,
        Self::SystemCalls,
        Self::Collecting,
        Self::Freshness,
        Self::Viewers,
        Self::Lists,
    ];
}
