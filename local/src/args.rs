//! The arguments of the command line.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use cli::args::LogArgs;

const EXAMPLES: &str = "\
Examples:
  local                                     watch bundled sample runs
  local --cdk deploy.log --agents logs/     follow files as they grow
  npx cdk deploy --progress events 2>&1 | tee deploy.log | local --cdk -
  local services                            what `cargo lambda watch` needs";

const SERVE_EXAMPLES: &str = "\
Examples:
  local serve                               watch bundled sample runs
  local serve --cdk deploy.log --data .local
  npx cdk deploy --progress events 2>&1 | tee deploy.log | local serve --cdk -

Redis: the one at REDIS_ENDPOINT, or else a redis-server on PATH is started, or else none.
Tokens: required only if AUTH_MODE=jwt is set, with a key such as AUTH_HS256_SECRET.";

const SERVICES_EXAMPLES: &str = "\
Examples:
  local services
  local services --dynamodb-port 0 --redis-port 0 --env-file /tmp/functions.env
  cargo lambda watch --env-file local.env   in another terminal";

/// Turns the logs of deploys and agents into tasks with live progress, on this machine.
#[derive(Debug, Parser)]
#[command(name = "local", version, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
}

impl Cli {
    /// What is to be done: to serve, unless something else is said.
    pub(crate) fn command(self) -> Command {
        self.command.unwrap_or(Command::Serve(self.serve))
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the API and collect logs as they grow, or bundled sample runs; the default
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(ServeArgs),
    /// Run DynamoDB and Redis for `cargo lambda watch`, until Ctrl-C
    #[command(after_help = SERVICES_EXAMPLES)]
    Services(ServicesArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) logs: LogArgs,
    /// The address to listen on; unless AUTH_MODE is jwt nobody is asked who they are: keep it to this machine
    #[arg(long, default_value = "127.0.0.1")]
    pub(crate) host: IpAddr,
    /// The port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 9000)]
    pub(crate) port: u16,
    /// A further name of this server that requests may carry in `Host`, such as that of a proxy; repeatable
    #[arg(long, value_name = "NAME")]
    pub(crate) allow_host: Vec<String>,
    /// A directory to keep tasks in, across runs; without it they are forgotten at the end
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Do without Redis, whatever REDIS_ENDPOINT and PATH offer
    #[arg(long)]
    pub(crate) no_redis: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ServicesArgs {
    /// The file to write the functions' environment to
    #[arg(long, value_name = "PATH", default_value = "local.env")]
    pub(crate) env_file: PathBuf,
    /// DynamoDB's port; 0 takes a free one
    #[arg(long, default_value_t = 8000)]
    pub(crate) dynamodb_port: u16,
    /// Redis' port; 0 takes a free one
    #[arg(long, default_value_t = 6379)]
    pub(crate) redis_port: u16,
    /// A directory to keep the tables in, across runs; without it they are forgotten at the end
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Command, clap::Error> {
        Cli::try_parse_from(line.split(' ')).map(Cli::command)
    }

    #[test]
    fn the_command_line_is_consistent() {
        <Cli as CommandFactory>::command().debug_assert();
    }

    #[test]
    fn serving_needs_no_word() {
        let options = "--port 1 --cdk a --cdk b";
        for line in [format!("local {options}"), format!("local serve {options}")] {
            let Ok(Command::Serve(args)) = parse(&line) else {
                panic!("{line}")
            };
            assert_eq!((args.port, args.logs.logs.len()), (1, 2));
        }
    }
}
