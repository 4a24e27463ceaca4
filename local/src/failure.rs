//! Why the program fails.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use api_lambda::auth::AuthConfigError;
use cli::plain_text::plain;
use shared::config::ConfigError;
use shared::error::error_chain;

use crate::embedded_dynamodb::EmbeddedError;
use crate::inputs::InputError;

/// Why the program fails. The messages are for the user who typed the command.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A log can't be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// An address can't be listened on.
    #[error("can't listen on {address} for {service}{advice}")]
    Listen {
        service: &'static str,
        address: SocketAddr,
        /// What the user can do.
        advice: String,
        #[source]
        source: io::Error,
    },
    /// The data directory can't be used, or another process uses it.
    #[error(
        "can't keep data in the directory {directory}: free it, or choose another one with --data"
    )]
    Data {
        directory: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    DynamoDb(#[from] EmbeddedError),
    #[error("correct this environment variable, or unset it")]
    Config(#[from] ConfigError),
    #[error("can't set up authentication")]
    Auth(#[from] AuthConfigError),
    #[error("can't write the environment file {path}: choose another path with --env-file")]
    EnvFile {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("can't print: check where standard output and standard error go to")]
    Print(#[source] io::Error),
    #[error("can't listen for Ctrl-C: run it where signals can be handled")]
    Signals(#[source] io::Error),
}

impl Failure {
    /// The failure of `service` to listen on `address`. The option `option` sets its port.
    pub(crate) fn listen(
        service: &'static str,
        address: SocketAddr,
        option: &str,
        source: io::Error,
    ) -> Self {
        let advice = match source.kind() {
            io::ErrorKind::AddrInUse => format!(
                ": another process listens there; stop it, or choose another port with \
                 {option} PORT (0 takes a free port)"
            ),
            io::ErrorKind::PermissionDenied => {
                format!(": choose a port above 1023 with {option} PORT")
            }
            io::ErrorKind::AddrNotAvailable => {
                ": this machine does not have that address; choose another one with --host"
                    .to_owned()
            }
            _ => format!(": choose another port with {option} PORT"),
        };
        Self::Listen {
            service,
            address,
            advice,
            source,
        }
    }

    /// Prints the error. Returns the exit code: 2 for a log that can't be read, otherwise 1.
    pub(crate) fn report(&self) -> ExitCode {
        // A reader such as `head` closes the pipe early. That is no failure.
        if matches!(self, Self::Print(error) if error.kind() == io::ErrorKind::BrokenPipe) {
            return ExitCode::SUCCESS;
        }
        eprintln!("error: {}", plain(&error_chain(self)));
        match self {
            Self::Input(_) => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }
}
