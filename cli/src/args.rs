//! Command-line arguments.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Args, FromArgMatches, Parser, Subcommand};
use progress_core::log_parser::LogFormat;
use progress_core::model::{MAX_NAME_CHARS, ProjectId, TaskId, TaskStatus};

const EXAMPLES: &str = "\
Examples:
  progress run -- npx cdk deploy --progress events
  progress report deploy.log
  progress report --agents run.log --json";

const RUN_EXAMPLES: &str = "\
Examples:
  progress run -- npx cdk deploy --progress events
  progress run --task nightly --project shop -- ./import.sh | tee import.log

The command runs as if it were started alone: with its terminal, input, output and exit code (128
and the number of the signal that ended it). What it prints is sent to the service. A service that is
down, slow or full neither delays nor fails the command, except that its last lines get up to 5
seconds at its end; Ctrl-C skips these.

Signals are passed on to the command; a second SIGINT kills it. If the terminal is the command's for
input and output, what it leaves running in the background gets SIGHUP at its end, and Ctrl-Z has no
effect.

Environment:
  PROGRESS_URL    The address of the service
  PROGRESS_TOKEN  A token with the scope progress:write
Without PROGRESS_URL, both are lines NAME=value in ~/.config/miyabi-progress/config. If neither names
a service, the command runs all the same, and one line says so.

The values of environment variables with TOKEN, SECRET, PASSWORD or KEY in their names are replaced
by [redacted] in what is sent, if they have 8 characters or more. Who runs the command, and the
repository, commit, branch, pull request and CI job are sent too. They are read from the variables of
GitHub Actions, GitLab, CodeBuild, Buildkite and CircleCI, or from git.";

const WATCH_HELP: &str = "\
Examples:
  progress watch cdk:shop-deploy && ./notify.sh
  progress watch nightly --json | jq -r .status

Exit codes: 0 if the run is completed, 1 if it has failed or was cancelled, 2 if it ended without a
word, or if there is no such task or no answer for a minute. PROGRESS_URL and PROGRESS_TOKEN name the
service, as for `progress run`. The token needs the scope progress:read.";

const LIST_EXAMPLES: &str = "\
Examples:
  progress list
  progress list --status running --status blocked --project shop
  progress list --json | jq -r '.tasks[].task_id'";

const REPORT_EXAMPLES: &str = "\
Examples:
  progress report deploy.log
  progress report --cdk deploy.log --agents logs/ --json | jq '.tasks[].status'
  git show main:deploy.log | progress report -

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
    /// Run a command and show its progress
    #[command(after_help = RUN_EXAMPLES)]
    Run(RunArgs),
    /// Follow one run until it ends
    #[command(after_help = WATCH_HELP)]
    Watch(WatchArgs),
    /// List the newest tasks of the service
    #[command(after_help = LIST_EXAMPLES)]
    List(ListArgs),
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
        let options = LogFormat::OF_FILES.map(|format| {
            Arg::new(format.option)
                .long(format.option)
                .value_name("FILE")
                .value_parser(clap::value_parser!(PathBuf))
                .action(ArgAction::Append)
                .help(format.option_help)
        });
        let names = LogFormat::OF_FILES.map(|format| format.option);
        let group = ArgGroup::new("logs").args(names).multiple(true);
        command.args(options).group(group)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for LogArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let logs = LogFormat::OF_FILES.into_iter().flat_map(|format| {
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

/// The arguments of `run`.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// The id of the task; without it, the lines or the log stream name the task
    #[arg(long, value_name = "ID")]
    pub task: Option<TaskId>,
    /// The id of the task's project
    #[arg(long, value_name = "ID")]
    pub project: Option<ProjectId>,
    /// The name of the task and of its log stream [default: the repository or directory, and the
    /// program: shop/npx]
    #[arg(long, value_parser = name)]
    pub name: Option<String>,
    /// What the command prints [default: the service finds out]
    #[arg(long, value_parser = ["cdk", "agent"])]
    pub format: Option<String>,
    /// Print neither a link to the run nor warnings
    #[arg(long, short)]
    pub quiet: bool,
    /// The command with its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<OsString>,
}

/// The arguments of `watch`.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// The id of the task, or of one of its runs [default: the newest task]
    pub task: Option<String>,
    /// Print the task as JSON, one line for each change
    #[arg(long)]
    pub json: bool,
}

/// The arguments of `list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only tasks with this status; may be repeated
    #[arg(long)]
    pub status: Vec<TaskStatus>,
    /// Only tasks of this project
    #[arg(long, value_name = "ID")]
    pub project: Option<String>,
    /// Only tasks with this text in their name or id
    #[arg(long)]
    pub text: Option<String>,
    /// The largest number of tasks
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u8).range(1..=200))]
    pub limit: u8,
    /// Print the answer of GET /api/tasks
    #[arg(long)]
    pub json: bool,
}

/// The arguments of `report`.
#[derive(Debug, Args)]
#[command(mut_group("logs", |group| group.required(true)))]
pub struct ReportArgs {
    /// Logs of any command, as with --log
    #[arg(value_name = "FILE", group = "logs")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    logs: LogArgs,
    /// Print JSON, as in the response of GET /api/tasks, instead of a table
    #[arg(long)]
    pub json: bool,
    /// Exit with 1 if a task has failed or was cancelled
    #[arg(long)]
    pub fail_on_error: bool,
    /// Show a running task as stale after this many seconds without a change
    #[arg(long, env = "STALE_AFTER_SECONDS", default_value_t = 900, hide = true,
          value_parser = clap::value_parser!(u64).range(1..=604_800))]
    pub stale_after_seconds: u64,
}

/// Reads the name of a task.
fn name(text: &str) -> Result<String, String> {
    match (1..=MAX_NAME_CHARS).contains(&text.chars().count()) {
        true => Ok(text.to_owned()),
        false => Err(format!("must be 1 to {MAX_NAME_CHARS} characters")),
    }
}

impl ReportArgs {
    /// The logs to read.
    pub fn logs(&self) -> LogArgs {
        let files = self.files.iter().cloned();
        let files = files.map(|path| (LogFormat::ANY, path));
        let logs = self.logs.logs.iter().cloned();
        LogArgs {
            logs: files.chain(logs).collect(),
        }
    }
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
    fn the_names_of_a_run_are_checked_before_it_begins() {
        for option in ["--task a/b", "--task ..", "--project a@b", "--name "] {
            let error = parse(&format!("progress run {option} -- true")).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            let error = error.to_string();
            let option = option.split(' ').next().unwrap();
            assert!(
                error.contains(option) && error.contains("must be"),
                "{error}"
            );
        }
        assert!(parse("progress run --task a:b --project shop --name ä -- true").is_ok());
    }

    #[test]
    fn report_requires_a_log() {
        assert!(parse("progress report").is_err());
        assert!(parse("progress report --json").is_err());
        assert!(parse("progress report --agents -").is_ok());
    }
}
