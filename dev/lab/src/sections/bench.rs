//! The options of the bench, and the parts that every section needs.

use std::path::PathBuf;

use clap::Parser;
use lab::measure::Subject;
use lab::services::Services;

use super::section::Section;

/// Measures the functions' release binaries against a function that does nothing, and prints
/// tables.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Arguments {
    /// Path of the program api-lambda
    #[arg(long)]
    pub(crate) api: PathBuf,
    /// Path of the program progress-collector
    #[arg(long)]
    pub(crate) collector: PathBuf,
    /// Path of the no-op, a function that does nothing
    #[arg(long)]
    pub(crate) noop: PathBuf,
    /// Path of the baseline, a collector as one would write it first
    #[arg(long)]
    pub(crate) baseline: PathBuf,
    /// Folder of the arm64 builds: FOLDER/api-lambda/bootstrap, FOLDER/progress-collector/bootstrap
    #[arg(long)]
    pub(crate) arm64: Option<PathBuf>,
    /// Path of the program local, to measure the time from a line to the response
    #[arg(long)]
    pub(crate) local: Option<PathBuf>,
    /// Path of the program progress, to measure the time from a line of its command
    #[arg(long)]
    pub(crate) progress: Option<PathBuf>,
    /// Starts of each function
    #[arg(long, default_value_t = 21)]
    pub(crate) starts: usize,
    /// Invocations of each warm function
    #[arg(long, default_value_t = 2000)]
    pub(crate) invocations: usize,
    /// Numbers of stored tasks for the list measurements, in rising order
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "100,10000,100000,1000000"
    )]
    pub(crate) stored: Vec<usize>,
    /// Numbers of log lines in a sweep, in rising order
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "10000,100000,1000000,10000000"
    )]
    pub(crate) lines: Vec<usize>,
    /// Measure only these
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) only: Vec<Section>,
    /// Markdown file in which the tables replace the lines between `<!-- measured -->` and
    /// `<!-- end of measured -->`
    #[arg(long)]
    pub(crate) into: Option<PathBuf>,
}

/// The parts that every section needs.
pub(crate) struct Bench {
    pub(crate) arguments: Arguments,
    pub(crate) services: Services,
    pub(crate) runtime: tokio::runtime::Runtime,
    pub(crate) api: Subject,
    pub(crate) collector: Subject,
    pub(crate) noop: Subject,
    pub(crate) baseline: Subject,
}
