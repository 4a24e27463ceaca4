//! A Redis of our own, for tests and a laptop: a child process without persistence, ended with us, also where we are
//! killed.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

/// For how long it may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(5);
/// The pause between two looks whether it has started.
const START_PAUSE: Duration = Duration::from_millis(10);

/// Becomes redis-server, and leaves a process behind that ends it when our end of its standard input is closed: by us,
/// or by the system when we are killed, which nothing can be done about then.
#[cfg(unix)]
const SUPERVISED: &str = r#"
command -v redis-server >/dev/null || exit 127
exec 3<&0
(cat <&3 >/dev/null; kill $$) 2>/dev/null &
exec redis-server "$@" </dev/null 3<&-
"#;
/// What a shell says by its exit code of a program that is not there.
const NOT_FOUND: i32 = 127;

/// Why it did not start.
#[derive(Debug, thiserror::Error)]
pub enum RedisError {
    /// There is no such program.
    #[error("redis-server is not on PATH")]
    NotInstalled,
    /// The program can't be run.
    #[error("can't start redis-server")]
    Start(#[source] io::Error),
    /// It does not like its arguments, or its port is taken.
    #[error("redis-server ended at once ({0}): perhaps its port is in use")]
    Ended(ExitStatus),
    /// It runs and takes no connections.
    #[error("redis-server does not answer")]
    Silent,
}

/// A Redis of our own; it is killed when this is dropped.
#[derive(Debug)]
pub struct RedisProcess {
    /// Where it listens.
    pub address: SocketAddr,
    child: Child,
    /// Where it runs; it writes nothing there.
    _directory: TempDir,
}

impl RedisProcess {
    /// Starts it on `port` of the loopback address, on a free one if that is 0, and waits until it
    /// takes connections.
    ///
    /// # Errors
    ///
    /// That it does not.
    pub async fn start(port: u16) -> Result<Self, RedisError> {
        let port = match port {
            0 => free_port().await.map_err(RedisError::Start)?,
            port => port,
        };
        let directory = tempfile::tempdir().map_err(RedisError::Start)?;
        let mut command = command();
        command
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(["--save", "", "--appendonly", "no", "--daemonize", "no"])
            .args(["--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"])
            .current_dir(directory.path())
            .stdin(Stdio::piped()) // open as long as we are there
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        // Ctrl-C goes to a whole group of processes; this one is ended by us, once nobody needs it.
        #[cfg(unix)]
        command.process_group(0);
        let child = command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => RedisError::NotInstalled,
            _ => RedisError::Start(error),
        })?;
        let mut redis = Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            child,
            _directory: directory,
        };
        redis.wait_until_up().await?;
        Ok(redis)
    }

    async fn wait_until_up(&mut self) -> Result<(), RedisError> {
        let last_moment = Instant::now() + START_TIMEOUT;
        while Instant::now() < last_moment {
            if let Some(status) = self.child.try_wait().map_err(RedisError::Start)? {
                return Err(ended(status));
            }
            if TcpStream::connect(self.address).await.is_ok() {
                // What answered could be another, if ours found its port taken and is about to end.
                sleep(START_PAUSE).await;
                return match self.child.try_wait().map_err(RedisError::Start)? {
                    Some(status) => Err(ended(status)),
                    None => Ok(()),
                };
            }
            sleep(START_PAUSE).await;
        }
        Err(RedisError::Silent)
    }

    /// The number of its process; `None` once it has ended.
    pub fn process_id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Ends it and waits until it has ended.
    pub async fn stop(mut self) {
        // It holds nothing worth saving. That it has ended already is as good.
        drop(self.child.kill().await);
    }
}

/// redis-server, but for its arguments.
#[cfg(unix)]
fn command() -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", SUPERVISED, "redis-server"]);
    command
}

/// redis-server, but for its arguments. It outlives us where we are killed.
#[cfg(not(unix))]
fn command() -> Command {
    Command::new("redis-server")
}

fn ended(status: ExitStatus) -> RedisError {
    match status.code() {
        Some(NOT_FOUND) => RedisError::NotInstalled,
        _ => RedisError::Ended(status),
    }
}

/// A port that was free a moment ago.
async fn free_port() -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    Ok(listener.local_addr()?.port())
}
