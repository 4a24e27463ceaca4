//! The connection in use, and when it is replaced.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::RedisResult;
use tokio::time::Instant;

use super::connect::{Connection, Connector};

/// The least age of a connection that is replaced. A younger one may still be connecting.
const LEAST_AGE: Duration = Duration::from_millis(500);

/// A connection that can be replaced.
pub(super) struct ReconnectingConnection {
    connector: Connector,
    current: Mutex<Current>,
}

struct Current {
    connection: Connection,
    since: Instant,
}

impl ReconnectingConnection {
    /// Opens a connection in the background.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    pub(super) fn new(connector: Connector) -> RedisResult<Self> {
        let current = Current::new(connector.connect()?);
        Ok(Self {
            connector,
            current: Mutex::new(current),
        })
    }

    /// The connection to use for a call.
    pub(super) fn current(&self) -> Connection {
        self.lock().connection.clone()
    }

    /// Replaces a connection that does not work, unless it is new.
    ///
    /// A connection that hangs never ends by itself. A connection to a cluster does not ask other
    /// nodes for the keys of a node that hangs. If it can reach no node, it retries without a
    /// pause.
    pub(super) fn reconnect(&self) {
        let mut current = self.lock();
        if current.since.elapsed() < LEAST_AGE {
            return;
        }
        if let Ok(connection) = self.connector.connect() {
            *current = Current::new(connection);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Current {
    fn new(connection: Connection) -> Self {
        Self {
            connection,
            since: Instant::now(),
        }
    }
}
