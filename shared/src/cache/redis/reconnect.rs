//! The connection in use, and when it is time for another one.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::RedisResult;
use tokio::time::Instant;

use super::connect::{Connection, Connector};

/// How old a connection is before it is given up: until then it may still be being made.
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
    /// A connection, made behind.
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

    /// Gives up a connection that leads nowhere, unless it is a new one.
    ///
    /// If it died without a word, it would never be given up by itself. A connection to a cluster would not ask
    /// other nodes who has the keys of one that hangs; and if it can reach none, it tries that without a pause.
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
