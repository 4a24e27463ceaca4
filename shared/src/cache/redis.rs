//! The cache in Redis (or Valkey, or ElastiCache).
//!
//! | key | value |
//! | --- | --- |
//! | `task:{id}` | a run, or the mark of its deletion: see [`CacheLookup`] |
//! | `{tasks}:generation` | a number that grows with every write of any task or project |
//! | `{tasks}:fresh` | exists while the store's indexes may miss the last write |
//! | `{tasks}:page:{generation}:{key}` | a page of tasks, a project, or the list of projects |
//!
//! The braces around `tasks` are part of the keys. They put these keys into one slot of a cluster,
//! because a script may touch only one slot. A value that is not a string is a miss, and is
//! replaced.

mod cluster;
mod connect;
mod endpoint;
mod reconnect;
mod script;

use std::future::Future;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind, cmd};
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use self::connect::{Connection, Connector};
use self::reconnect::ReconnectingConnection;
use self::script::Script;
use super::circuit_breaker::CircuitBreaker;
use super::{
    CacheError, CacheLookup, FRESH_PAGE_TTL, INDEX_DELAY, PAGE_TTL, PageLookup, TaskCache,
};
use crate::config::{CacheConfig, ConfigError};
use crate::model::{RecordId, Revision};

/// The most time for a call with all its attempts.
const BUDGET: Duration = Duration::from_millis(50);
/// The jitter of a time to live, in per cent to either side. Keys must not expire all at once.
const JITTER_PERCENT: u64 = 10;

const GENERATION_KEY: &str = "{tasks}:generation";
const FRESH_KEY: &str = "{tasks}:fresh";
const PAGE_PREFIX: &str = "{tasks}:page:";

static PUT_TASK: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("redis/put_task.lua")));
static RENEW_TASK: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("redis/renew_task.lua")));
static BUMP_GENERATION: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("redis/bump_generation.lua")));
static FETCH_PAGE: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("redis/fetch_page.lua")));
static PUT_PAGE: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("redis/put_page.lua")));

/// The circuit breaker is open.
#[derive(Debug, thiserror::Error)]
#[error("the circuit breaker is open after several failures")]
struct BreakerOpen;

/// A cache in Redis. Redis need not be up: until it is, calls fail.
pub struct RedisTaskCache {
    connection: ReconnectingConnection,
    breaker: Mutex<CircuitBreaker>,
}

impl std::fmt::Debug for RedisTaskCache {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Derived output would include the password.
        formatter
            .debug_struct("RedisTaskCache")
            .finish_non_exhaustive()
    }
}

impl RedisTaskCache {
    /// Creates the cache at the endpoint of `config`, and connects in the background.
    ///
    /// # Errors
    ///
    /// An invalid setting. An unreachable endpoint is no error.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    pub fn new(config: &CacheConfig) -> Result<Self, ConfigError> {
        let connector = Connector::new(config)?;
        let connection =
            ReconnectingConnection::new(connector).map_err(|_| ConfigError::Invalid {
                name: "REDIS_ENDPOINT",
                expected: "a valid endpoint",
            })?;
        Ok(Self {
            connection,
            breaker: Mutex::default(),
        })
    }

    fn breaker(&self) -> MutexGuard<'_, CircuitBreaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a call within the budget, if the circuit breaker admits it. Repeats it once if the
    /// connection turns out to be lost, as after a freeze of the function.
    async fn call<T, F>(
        &self,
        operation: &'static str,
        command: impl Fn(Connection) -> F + Send + Sync,
    ) -> Result<T, CacheError>
    where
        T: Send,
        F: Future<Output = RedisResult<T>> + Send,
    {
        let failed = |source| CacheError { operation, source };
        if !self.breaker().admits(Instant::now()) {
            return Err(failed(BreakerOpen.into()));
        }
        let connection = self.connection.current();
        let attempts = async {
            match command(connection.clone()).await {
                Err(error) if error.is_connection_dropped() => command(connection).await,
                outcome => outcome,
            }
        };
        match timeout(BUDGET, attempts).await {
            Ok(Ok(reply)) => {
                self.note_reply();
                Ok(reply)
            }
            Ok(Err(error)) => {
                if is_reply(&error) {
                    self.note_reply();
                } else {
                    self.note_failure(&error);
                }
                Err(failed(error.into()))
            }
            Err(elapsed) => {
                self.note_failure(&elapsed);
                Err(failed(elapsed.into()))
            }
        }
    }

    fn note_reply(&self) {
        if self.breaker().succeeded() {
            info!("the cache responds again");
        }
    }

    fn note_failure(&self, error: &(dyn std::error::Error + 'static)) {
        let (opened, is_open) = {
            let mut breaker = self.breaker();
            (breaker.failed(Instant::now()), breaker.is_open())
        };
        if opened {
            let error = crate::error::error_chain(error);
            warn!(error, "the cache does not respond: going on without it");
        }
        // A connection that hangs, or waits for the rest of an invalid reply, never ends by itself.
        // Neither does its replacement, if it was made too early.
        if is_open {
            self.connection.reconnect();
        }
    }
}

/// Whether Redis responded, and only rejected or failed the command.
fn is_reply(error: &RedisError) -> bool {
    match error.kind() {
        // Another node is or becomes the master. A new connection may lead there.
        ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown) => false,
        // A cluster responds so for keys of a lost node, until its replica takes over.
        ErrorKind::Server(_) if error.is_cluster_error() => false,
        ErrorKind::Server(_) | ErrorKind::Extension | ErrorKind::UnexpectedReturnType => true,
        _ => false,
    }
}

fn task_key(id: &RecordId) -> String {
    format!("task:{id}")
}

fn page_key(generation: u64, key: &str) -> String {
    format!("{PAGE_PREFIX}{generation}:{key}")
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A random time to live in milliseconds, at least 1, within a tenth of `ttl`.
fn jittered_millis(ttl: Duration) -> u64 {
    // At most a year, because Redis adds the number to its clock, which must not overflow.
    let ttl = millis(ttl).clamp(1, 365 * 24 * 60 * 60 * 1000);
    let spread = ttl * JITTER_PERCENT / 100;
    fastrand::u64(ttl - spread..=ttl + spread)
}

#[async_trait]
impl TaskCache for RedisTaskCache {
    async fn fetch_task(&self, id: &RecordId) -> Result<CacheLookup, CacheError> {
        let key = task_key(id);
        let get = |mut connection: Connection| {
            let key = &key;
            async move {
                // GETEX is GET, but counts as a write. A replica, which may have missed writes,
                // rejects it.
                let held = cmd("GETEX").arg(key).query_async(&mut connection).await;
                match held {
                    Err(error) if error.code() == Some("WRONGTYPE") => Ok(None),
                    held => held,
                }
            }
        };
        let value = self.call("fetching a task", get).await?;
        Ok(CacheLookup::parse(id, value))
    }

    async fn put_task(
        &self,
        id: &RecordId,
        revision: Revision,
        bytes: &[u8],
        ttl: Duration,
    ) -> Result<(), CacheError> {
        let mut invocation = PUT_TASK.key(task_key(id));
        invocation.arg(revision.0).arg(bytes);
        invocation.arg(jittered_millis(ttl));
        let put = |mut connection: Connection| {
            let invocation = &invocation;
            async move { invocation.invoke_async(&mut connection).await }
        };
        self.call("keeping a task", put).await
    }

    async fn renew_task(
        &self,
        id: &RecordId,
        revision: Revision,
        bytes: &[u8],
        ttl: Duration,
    ) -> Result<bool, CacheError> {
        let mut invocation = RENEW_TASK.key(task_key(id));
        invocation.arg(revision.0).arg(bytes);
        invocation.arg(jittered_millis(ttl));
        let renew = |mut connection: Connection| {
            let invocation = &invocation;
            async move { invocation.invoke_async(&mut connection).await }
        };
        self.call("renewing a task", renew).await
    }

    async fn remove_task(&self, id: &RecordId) -> Result<(), CacheError> {
        let key = task_key(id);
        let remove = |mut connection: Connection| {
            let key = &key;
            async move { cmd("DEL").arg(key).query_async(&mut connection).await }
        };
        self.call("forgetting a task", remove).await
    }

    async fn bump_generation(&self) -> Result<(), CacheError> {
        let mut invocation = BUMP_GENERATION.key(GENERATION_KEY);
        invocation.key(FRESH_KEY).arg(millis(INDEX_DELAY));
        let bump = |mut connection: Connection| {
            let invocation = &invocation;
            async move { invocation.invoke_async(&mut connection).await }
        };
        self.call("beginning a generation", bump).await
    }

    async fn fetch_page(&self, key: &str, known: Option<u64>) -> Result<PageLookup, CacheError> {
        let mut invocation = FETCH_PAGE.key(GENERATION_KEY);
        invocation.key(FRESH_KEY).arg(millis(INDEX_DELAY));
        invocation.arg(PAGE_PREFIX).arg(key);
        invocation.arg(known.map_or_else(String::new, |known| known.to_string()));
        let fetch = |mut connection: Connection| {
            let invocation = &invocation;
            async move { invocation.invoke_async(&mut connection).await }
        };
        let (generation, is_settled, page) = self.call("fetching a page", fetch).await?;
        Ok(PageLookup {
            generation,
            is_settled,
            page,
        })
    }

    async fn put_page(&self, key: &str, generation: u64, bytes: &[u8]) -> Result<(), CacheError> {
        let mut invocation = PUT_PAGE.key(page_key(generation, key));
        invocation.key(FRESH_KEY).arg(bytes);
        invocation.arg(jittered_millis(PAGE_TTL));
        invocation.arg(jittered_millis(FRESH_PAGE_TTL));
        let put = |mut connection: Connection| {
            let invocation = &invocation;
            async move { invocation.invoke_async(&mut connection).await }
        };
        self.call("keeping a page", put).await
    }

    async fn ping(&self) -> Result<(), CacheError> {
        let ping = |mut connection: Connection| async move {
            cmd("PING").query_async(&mut connection).await
        };
        self.call("a ping", ping).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every query text yields a key of a page of its generation, in the slot of all pages.
    #[test]
    fn no_query_text_escapes_the_key_of_its_page() {
        let slot = |key: &str| {
            let (_, rest) = key.split_once('{').unwrap();
            rest.split_once('}').unwrap().0.to_owned()
        };
        let hostile = [
            "",
            "}:x",
            "{other}",
            "generation",
            "7:x",
            "a\r\nDEL task:a",
            "\0",
        ];
        let mut keys = std::collections::BTreeSet::new();
        for text in hostile {
            for generation in [1, 17] {
                let key = page_key(generation, &format!("tasks?q={text}"));
                assert_eq!(slot(&key), "tasks", "{key}");
                assert!(key.starts_with(&format!("{PAGE_PREFIX}{generation}:")));
                keys.insert(key);
            }
        }
        assert_eq!(keys.len(), 2 * hostile.len(), "two pages have one key");
        for id in ["a}b", "a b", "a\n", "{tasks}:generation", "*", ""] {
            assert!(id.parse::<RecordId>().is_err(), "{id}");
        }
        assert_eq!(task_key(&"a:b".parse().unwrap()), "task:a:b");
    }

    #[test]
    fn a_time_to_live_is_spread_by_a_tenth() {
        let ttls = (0..1000).map(|_| jittered_millis(Duration::from_secs(60)));
        let (low, high): (Vec<u64>, Vec<u64>) = ttls.partition(|ttl| *ttl < 60_000);
        assert!(low.iter().all(|ttl| *ttl >= 54_000) && !low.is_empty());
        assert!(high.iter().all(|ttl| *ttl <= 66_000) && !high.is_empty());
        assert_eq!(jittered_millis(Duration::ZERO), 1);
        jittered_millis(Duration::MAX);
    }
}
