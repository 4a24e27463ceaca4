//! The arguments of the command line.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use cli::args::LogArgs;

use crate::loopback_guard::AllowedHost;

const EXAMPLES: &str = "\
Examples, from the checkout:
  cargo run -p local
      watch bundled sample runs
  cargo run -p local -- --cdk deploy.log --agents logs/
      follow files as they grow
  npx cdk deploy --progress events 2>&1 | cargo run -p local -- --cdk -
  cargo run -p local -- services
      DynamoDB and Redis for `cargo lambda watch`

Shells have a command `local` of their own: start a copy on the PATH as `env local`.";

const SERVE_EXAMPLES: &str = "\
Examples:
  cargo run -p local -- serve               watch bundled sample runs
  cargo run -p local -- serve --cdk deploy.log --data .local
  npx cdk deploy 2>&1 | cargo run -p local -- serve --cdk - --name shop

Standard input (`-`) is passed on to standard output. When it ends, `local` says how its run ended, and ends with \
exit code 0 if the run is completed, 1 if it has failed or was cancelled, 2 if it ended without a word, or if `local` can't \
work. It is passed on in any case, and how it ended is told also if the port is taken.

Files and directories need not exist yet: they are followed once they appear.

Redis: the one at REDIS_ENDPOINT. Without REDIS_ENDPOINT, starts the redis-server on PATH, if there is one.

Tokens: requests need a token only if AUTH_MODE=jwt is set, with a key such as AUTH_HS256_SECRET.

Web pages: only the dashboard of this server may use the API, and the origins in CORS_ALLOWED_ORIGINS.";

const SERVICES_EXAMPLES: &str = "\
Examples:
  cargo run -p local -- services
  cargo lambda watch --env-file local.env   in another terminal
  cargo run -p local -- services --dynamodb-port 0 --redis-port 0";

/// The width of what is printed, in columns.
pub(crate) const WIDTH: usize = 80;

/// Turns the logs of deploys and agents into tasks with live progress, on this machine.
#[derive(Debug, Parser)]
#[command(
    name = "local",
    version,
    after_help = EXAMPLES,
    args_conflicts_with_subcommands = true,
    max_term_width = WIDTH
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
}

impl Cli {
    /// The command to run; `serve` is the default.
    pub(crate) fn command(self) -> Command {
        self.command.unwrap_or(Command::Serve(self.serve))
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Follow logs, or replay bundled sample runs, and serve the API and the dashboard (the default)
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
    /// What standard input is about: the name of its task [default: stdin]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Go on serving when standard input has ended
    #[arg(long)]
    pub(crate) keep: bool,
    /// The address to listen on. Without AUTH_MODE=jwt, everybody who can reach it may read and write
    #[arg(long, default_value = "127.0.0.1")]
    pub(crate) host: IpAddr,
    /// The port to listen on; 0 takes a free port
    #[arg(long, default_value_t = 9000)]
    pub(crate) port: u16,
    /// Another host name of this server, such as the name of a proxy; may repeat
    #[arg(long, value_name = "NAME", value_parser = AllowedHost::parse)]
    pub(crate) allow_host: Vec<AllowedHost>,
    /// The directory to keep tasks in between runs; without it they are lost at the end. Samples are not replayed into it
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Use no Redis, even if REDIS_ENDPOINT is set or redis-server is on PATH
    #[arg(long)]
    pub(crate) no_redis: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ServicesArgs {
    /// The file to write the functions' environment to. Only its owner can read it
    #[arg(long, value_name = "PATH", default_value = "local.env")]
    pub(crate) env_file: PathBuf,
    /// The port of DynamoDB; 0 takes a free port
    #[arg(long, default_value_t = 8000)]
    pub(crate) dynamodb_port: u16,
    /// The port of Redis; 0 takes a free port
    #[arg(long, default_value_t = 6379)]
    pub(crate) redis_port: u16,
    /// The directory to keep the tables in between runs; without it they are lost at the end
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
    fn serve_is_the_default_command() {
        let options = "--port 1 --cdk a --cdk b";
        for line in [format!("local {options}"), format!("local serve {options}")] {
            let Ok(Command::Serve(args)) = parse(&line) else {
                panic!("{line}")
            };
            assert_eq!((args.port, args.logs.logs.len()), (1, 2));
        }
    }

    #[test]
    fn an_allowed_host_has_no_scheme_and_no_port() {
        assert!(parse("local --allow-host proxy.test --allow-host 10.0.0.5").is_ok());
        let error = parse("local --allow-host http://proxy.test").unwrap_err();
        assert!(error.to_string().contains("no scheme"), "{error}");
    }
}
