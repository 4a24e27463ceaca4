//! Command-line arguments.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Args, FromArgMatches, Parser, Subcommand};
use progress_core::log_parser::LogFormat;

const EXAMPLES: &str = "\
Examples:
  progress report --cdk deploy.log
  progress report --agents run.log --json";

const REPORT_EXAMPLES: &str = "\
Examples:
  progress report --cdk deploy.log
  progress report --cdk deploy.log --agents logs/ --json | jq '.tasks[].status'
  git show main:deploy.log | progress report --cdk -

Each file is a log stream. Its name is the name of the file without the extension.";

/// Shows the progress of deploys and agents from their logs
#[derive(Debug, Parser)]
#[command(name = "progress", version, after_help = EXAMPLES)]
pub struct Cli {
    /// The subcommand.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read logs once and print their tasks
    #[command(after_help = REPORT_EXAMPLES)]
    Report(ReportArgs),
}

/// The logs to read: one repeatable option for each log format.
#[derive(Debug, Clone, Default)]
pub struct LogArgs {
    /// Each log with its format. `-` is standard input.
    pub logs: Vec<(LogFormat, PathBuf)>,
}

impl Args for LogArgs {
    fn augment_args(command: clap::Command) -> clap::Command {
        let options = LogFormat::ALL.map(|format| {
            Arg::new(format.option)
                .long(format.option)
                .value_name("FILE")
                .value_parser(clap::value_parser!(PathBuf))
                .action(ArgAction::Append)
                .help(format.option_help)
        });
        let names = LogFormat::ALL.map(|format| format.option);
        let group = ArgGroup::new("logs").args(names).multiple(true);
        command.args(options).group(group)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for LogArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let logs = LogFormat::ALL.into_iter().flat_map(|format| {
            let paths = matches.get_many::<PathBuf>(format.option);
            let paths = paths.into_iter().flatten().cloned();
            paths.map(move |path| (format, path))
        });
        Ok(Self {
            logs: logs.collect(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The arguments of `report`.
#[derive(Debug, Args)]
#[command(mut_group("logs", |group| group.required(true)))]
pub struct ReportArgs {
    /// The logs to read.
    #[command(flatten)]
    pub logs: LogArgs,
    /// Print JSON, as in the response of GET /api/tasks, instead of a table
    #[arg(long)]
    pub json: bool,
    /// Show a running task as stale after this many seconds without a change
    #[arg(long, env = "STALE_AFTER_SECONDS", default_value_t = 900, hide = true,
          value_parser = clap::value_parser!(u64).range(1..=604_800))]
    pub stale_after_seconds: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_definition_of_the_arguments_is_valid() {
        <Cli as CommandFactory>::command().debug_assert();
    }

    #[test]
    fn report_requires_a_log() {
        assert!(parse("progress report").is_err());
        assert!(parse("progress report --json").is_err());
        assert!(parse("progress report --agents -").is_ok());
    }
}
