//! A real Redis for each test, on a free port of the loopback interface.
//!
//! It is a child process of the test. The test stops it through its handle, never by a process id.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Client, FromRedisValue};
use shared::cache::TaskCache;
use shared::cache::redis::RedisTaskCache;
use shared::config::CacheConfig;
use tempfile::TempDir;
use tokio::time::{interval, timeout};

/// The most time for a Redis to start or to be found again, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A Redis that stops when it is dropped.
pub(crate) struct RedisServer {
    child: Child,
    pub(crate) port: u16,
    /// Its working directory.
    _directory: TempDir,
    admin: MultiplexedConnection,
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl RedisServer {
    pub(crate) async fn start() -> Self {
        Self::start_on(free_port()).await
    }

    pub(crate) async fn start_on(port: u16) -> Self {
        Self::start_with(port, &[]).await
    }

    /// Starts a Redis with further `arguments`.
    pub(crate) async fn start_with(port: u16, arguments: &[String]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let child = Command::new("redis-server")
            .current_dir(directory.path())
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(["--save", "", "--appendonly", "no"])
            .args(arguments)
            .stdout(Stdio::null())
            .spawn();
        let mut child = child.unwrap_or_else(|error| {
            panic!(
                "these tests run on a real Redis, and `redis-server` can't be started: {error}\n\
                 install it (`apt-get install redis-server`, `brew install redis`, or the package of \
                 your system) so that it is on PATH"
            )
        });
        let client = Client::open(format!("redis://127.0.0.1:{port}")).unwrap();
        let connected = async {
            let mut ticks = interval(Duration::from_millis(10));
            loop {
                ticks.tick().await;
                if let Some(status) = child.try_wait().unwrap() {
                    panic!("redis-server ended at once ({status}); it may lack support for TLS");
                }
                if let Ok(connection) = client.get_multiplexed_async_connection().await {
                    return connection;
                }
            }
        };
        let admin = timeout(PATIENCE, connected).await.unwrap();
        Self {
            child,
            port,
            _directory: directory,
            admin,
        }
    }

    /// Starts a Redis with a connected cache.
    pub(crate) async fn start_with_cache() -> (RedisTaskCache, Self) {
        let server = Self::start().await;
        let cache = RedisTaskCache::new(&server.config()).unwrap();
        until_up(&cache).await;
        (cache, server)
    }

    pub(crate) fn config(&self) -> CacheConfig {
        CacheConfig::at(format!("127.0.0.1:{}", self.port))
    }

    /// Suspends the process: it accepts connections and responds to nothing.
    pub(crate) fn hang(&self) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args(["-STOP", &pid]).status();
        assert!(status.unwrap().success());
    }

    /// Runs a command, given as words.
    pub(crate) async fn run<T: FromRedisValue>(&self, command: &[&str]) -> T {
        let (name, arguments) = command.split_first().unwrap();
        let mut admin = self.admin.clone();
        let mut command = redis::cmd(name);
        command.arg(arguments);
        command.query_async(&mut admin).await.unwrap()
    }
}

/// A free port.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Waits until the cache responds.
pub(crate) async fn until_up(cache: &RedisTaskCache) {
    let is_up = async {
        let mut ticks = interval(Duration::from_millis(20));
        while cache.ping().await.is_err() {
            ticks.tick().await;
        }
    };
    timeout(PATIENCE, is_up).await.unwrap();
}
