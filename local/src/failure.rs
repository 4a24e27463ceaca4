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
        /// What the user can do; may be empty.
        advice: String,
        #[source]
        source: io::Error,
    },
    /// The data directory can't be used, or another process uses it.
    #[error("can't keep data in the directory {directory} (--data)")]
    Data {
        directory: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    DynamoDb(#[from] EmbeddedError),
    #[error("invalid setting")]
    Config(#[from] ConfigError),
    #[error("can't set up authentication")]
    Auth(#[from] AuthConfigError),
    #[error("can't write the environment file {path} (--env-file)")]
    EnvFile {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("can't write to standard output")]
    Print(#[source] io::Error),
    #[error("the HTTP server of the API has failed")]
    Api(#[source] io::Error),
    #[error("can't listen for Ctrl-C")]
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
            _ => String::new(),
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
