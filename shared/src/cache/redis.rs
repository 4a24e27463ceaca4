//! The cache in Redis (or Valkey, or ElastiCache).
//!
//! | key | value |
//! | --- | --- |
//! | `run:{id}` | the answer about a run |
//! | `{tasks}:page:{key}` | a page of tasks, a project, or the list of projects |
//! | `{tasks}:generation` | a number that grows with every write of any task or project |
//!
//! An answer is kept as one line and its body. The line has, separated by spaces, when the answer
//! was certainly true (by Redis's clock, in ms since 1970), how long it is fresh (ms), its version
//! and its validator. Any other value is a miss, and is replaced.
//!
//! The braces around `tasks` are part of the keys. They put these keys into one slot of a cluster,
//! because a script may touch only one slot.

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
use super::{Answer, CacheError, CacheKey, HeldAnswer, KEPT_FOR, Lookup, TaskCache};
use crate::config::{CacheConfig, ConfigError};
use crate::validator::Validator;

/// The most time for a call with all its attempts.
const BUDGET: Duration = Duration::from_millis(50);
/// The jitter of a time to live, in per cent to either side. Keys must not expire all at once.
const JITTER_PERCENT: u64 = 10;

const GENERATION_KEY: &str = "{tasks}:generation";
const PAGE_PREFIX: &str = "{tasks}:page:";
/// The most validators of a client that are compared. Usual clients send one.
const MOST_KNOWN: usize = 8;

static FETCH: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("redis/fetch.lua")));
static PUT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("redis/put.lua")));
static BEGIN_GENERATION: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("redis/begin_generation.lua")));

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

/// The key in Redis.
fn text_of(key: &CacheKey) -> String {
    match key {
        CacheKey::Run(id) => format!("run:{id}"),
        CacheKey::Page(key) => format!("{PAGE_PREFIX}{key}"),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A random time to live in milliseconds, within a tenth of `ttl`.
fn jittered_millis(ttl: Duration) -> u64 {
    let ttl = millis(ttl);
    let spread = ttl * JITTER_PERCENT / 100;
    fastrand::u64(ttl - spread..=ttl + spread)
}

/// The reply of the script that looks up an answer.
type FetchReply = (
    u64,
    Option<i64>,
    Option<u64>,
    Option<u64>,
    Option<String>,
    Option<Vec<u8>>,
);

fn lookup_of((generation, age, fresh_for, version, validator, body): FetchReply) -> Lookup {
    let held = || {
        Some(HeldAnswer {
            version: version?,
            fresh_for: Duration::from_millis(fresh_for?),
            validator: Validator::from(validator?),
            // An answer from the future was written by another clock. Nobody knows its age.
            age: u64::try_from(age?).map_or(Duration::MAX, Duration::from_millis),
            body,
        })
    };
    Lookup {
        generation,
        held: held(),
    }
}

#[async_trait]
impl TaskCache for RedisTaskCache {
    async fn fetch(&self, key: &CacheKey, known: &[Validator]) -> Result<Lookup, CacheError> {
        let mut invocation = FETCH.key(text_of(key));
        if let CacheKey::Page(_) = key {
            invocation.key(GENERATION_KEY);
        }
        for validator in known.iter().take(MOST_KNOWN) {
            invocation.arg(validator.as_str());
        }
        let fetch = |mut connection: Connection| {
            let invocation = &invocation;
            async move { invocation.invoke_async(&mut connection).await }
        };
        self.call("fetching an answer", fetch).await.map(lookup_of)
    }

    async fn put(&self, key: &CacheKey, answer: &Answer, age: Duration) -> Result<(), CacheError> {
        let mut invocation = PUT.key(text_of(key));
        invocation.arg(millis(age)).arg(millis(answer.fresh_for));
        invocation
            .arg(answer.version)
            .arg(answer.validator.as_str());
        invocation
            .arg(answer.body.as_slice())
            .arg(jittered_millis(KEPT_FOR));
        let put = |mut connection: Connection| {
            let invocation = &invocation;
            async move { invocation.invoke_async(&mut connection).await }
        };
        self.call("keeping an answer", put).await
    }

    async fn remove(&self, key: &CacheKey) -> Result<(), CacheError> {
        let key = text_of(key);
        let remove = |mut connection: Connection| {
            let key = &key;
            async move { cmd("DEL").arg(key).query_async(&mut connection).await }
        };
        self.call("forgetting an answer", remove).await
    }

    async fn begin_generation(&self) -> Result<(), CacheError> {
        let invocation = BEGIN_GENERATION.key(GENERATION_KEY);
        let begin = |mut connection: Connection| {
            let invocation = &invocation;
            async move { invocation.invoke_async(&mut connection).await }
        };
        self.call("beginning a generation", begin).await
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

    /// Every query text yields a key of its own page, in the slot of all pages.
    #[test]
    fn no_query_text_escapes_the_key_of_its_page() {
        let slot = |key: &str| {
            let (_, rest) = key.split_once('{').unwrap();
            rest.split_once('}').unwrap().0.to_owned()
        };
        let hostile = ["", "}:x", "{other}", "generation", "a\r\nDEL run:a", "\0"];
        let mut keys = std::collections::BTreeSet::new();
        for text in hostile {
            let key = text_of(&CacheKey::Page(format!("tasks?q={text}")));
            assert_eq!(slot(&key), "tasks", "{key}");
            assert!(key.starts_with(PAGE_PREFIX));
            keys.insert(key);
        }
        assert_eq!(keys.len(), hostile.len(), "two pages have one key");
        let run = CacheKey::Run("a:b".parse().unwrap());
        assert_eq!(text_of(&run), "run:a:b");
    }

    #[test]
    fn a_time_to_live_is_spread_by_a_tenth() {
        let ttls = (0..1000).map(|_| jittered_millis(Duration::from_secs(60)));
        let (low, high): (Vec<u64>, Vec<u64>) = ttls.partition(|ttl| *ttl < 60_000);
        assert!(low.iter().all(|ttl| *ttl >= 54_000) && !low.is_empty());
        assert!(high.iter().all(|ttl| *ttl <= 66_000) && !high.is_empty());
    }

    #[test]
    fn an_answer_from_the_future_is_never_fresh() {
        let reply = |age| {
            (
                1,
                Some(age),
                Some(5000),
                Some(7),
                Some("x".to_owned()),
                None,
            )
        };
        let age = |reply| lookup_of(reply).held.unwrap().age;
        assert_eq!(age(reply(3)), Duration::from_millis(3));
        assert_eq!(age(reply(-1)), Duration::MAX);
        assert_eq!(lookup_of((1, None, None, None, None, None)).held, None);
    }
}
