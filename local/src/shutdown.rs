//! The signals that end the program.

use std::io;

/// A signal that ends the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Ctrl-C. In a pipeline, all commands get it.
    Interrupt,
    Terminate,
}

/// The signals that end the program: Ctrl-C, and SIGTERM on Unix.
#[derive(Debug)]
pub(crate) struct ShutdownSignals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl ShutdownSignals {
    /// Listens for the signals from now on. They no longer end the process by themselves.
    pub(crate) fn listen() -> io::Result<Self> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            Ok(Self {
                terminate: signal(SignalKind::terminate())?,
                interrupt: signal(SignalKind::interrupt())?,
            })
        }
        #[cfg(not(unix))]
        Ok(Self {})
    }

    /// Waits for one of the signals.
    pub(crate) async fn wait(&mut self) -> io::Result<Signal> {
        #[cfg(unix)]
        {
            tokio::select! {
                _ = self.terminate.recv() => Ok(Signal::Terminate),
                _ = self.interrupt.recv() => Ok(Signal::Interrupt),
            }
        }
        #[cfg(not(unix))]
        tokio::signal::ctrl_c().await.map(|()| Signal::Interrupt)
    }
}
