//! Why the program ends without having done what it should.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use api_lambda::auth::AuthConfigError;
use shared::config::ConfigError;
use shared::error::{Source, error_chain};

use crate::embedded_dynamodb::EmbeddedError;
use crate::inputs::InputError;

/// Why the program ends without having done what it should. The messages are for who typed the command.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A log that can't be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// An address that can't be listened on.
    #[error("can't listen on {address} for {service}{advice}")]
    Listen {
        service: &'static str,
        address: SocketAddr,
        /// What to do about it, if that is known.
        advice: String,
        #[source]
        source: io::Error,
    },
    /// A directory that can't be used, or that another process uses.
    #[error("can't keep data in {directory}")]
    Data {
        directory: PathBuf,
        #[source]
        source: Source,
    },
    #[error(transparent)]
    DynamoDb(#[from] EmbeddedError),
    #[error("a setting can't be used")]
    Config(#[from] ConfigError),
    #[error("can't tell who may come in")]
    Auth(#[from] AuthConfigError),
    #[error("can't write {path}")]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("can't print")]
    Print(#[source] io::Error),
    #[error("the API's server has failed")]
    Api(#[source] io::Error),
    #[error("can't wait for Ctrl-C")]
    Signals(#[source] io::Error),
}

impl Failure {
    /// That `service` can't listen on `address`; `option` chooses another port.
    pub(crate) fn listen(
        service: &'static str,
        address: SocketAddr,
        option: &str,
        source: io::Error,
    ) -> Self {
        let advice = match source.kind() {
            io::ErrorKind::AddrInUse => format!(
                ": something else listens there already; end it, or choose another port with \
                 {option} PORT (0 takes a free one)"
            ),
            io::ErrorKind::PermissionDenied => {
                format!(": choose a port above 1023 with {option} PORT")
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

    /// Tells the user; gives the exit code: 2 for a mistake in what was asked, else 1.
    pub(crate) fn report(&self) -> ExitCode {
        // A reader that has seen enough, such as `head`, is no failure.
        if matches!(self, Self::Print(error) if error.kind() == io::ErrorKind::BrokenPipe) {
            return ExitCode::SUCCESS;
        }
        eprintln!("error: {}", error_chain(self));
        match self {
            Self::Input(_) => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }
}
