//! A redis-server as a child process, for tests and for a laptop.
//!
//! It keeps nothing on disk. It ends with this process, also when this process is killed.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use shared::config::Secret;
use tempfile::{NamedTempFile, TempDir};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

/// How long redis-server may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(5);
/// The pause between two checks whether redis-server has started.
const START_PAUSE: Duration = Duration::from_millis(10);

/// Becomes redis-server. Leaves a process behind that kills redis-server when its standard input is closed. The
/// system closes it when this process is killed, and no code of this process could run then.
#[cfg(unix)]
const SUPERVISED: &str = r#"
command -v redis-server >/dev/null || exit 127
exec 3<&0
(cat <&3 >/dev/null; kill $$) 2>/dev/null &
exec redis-server "$@" </dev/null 3<&-
"#;
/// The exit code of a shell that does not find the program.
const NOT_FOUND: i32 = 127;

/// Why redis-server did not start.
#[derive(Debug, thiserror::Error)]
pub enum RedisError {
    /// There is no such program.
    #[error("redis-server is not on PATH")]
    NotInstalled,
    /// The program can't be run.
    #[error("can't start redis-server")]
    Start(#[source] io::Error),
    /// The program ended: it refused an argument, or its port is in use.
    #[error("redis-server ended at once ({0}): perhaps its port is in use")]
    Ended(ExitStatus),
    /// The program runs but accepts no connections.
    #[error("redis-server does not answer")]
    Silent,
}

/// A running redis-server. It is killed when this is dropped.
#[derive(Debug)]
pub struct RedisProcess {
    /// The address it listens on.
    pub address: SocketAddr,
    /// The password that its default user needs; `None` if anybody may use it.
    password: Option<Secret>,
    child: Child,
    /// The working directory of redis-server.
    _directory: TempDir,
}

impl RedisProcess {
    /// Starts a redis-server without a password on `port` of the loopback address. Port 0 takes a free one.
    ///
    /// # Errors
    ///
    /// [`RedisError`] if it does not start.
    pub async fn start(port: u16) -> Result<Self, RedisError> {
        Self::start_with(port, None).await
    }

    /// Starts a redis-server with a random password on `port` of the loopback address. Port 0 takes a free one.
    ///
    /// # Errors
    ///
    /// [`RedisError`] if it does not start.
    pub async fn start_with_password(port: u16) -> Result<Self, RedisError> {
        let password = Secret::from(Uuid::new_v4().simple().to_string());
        Self::start_with(port, Some(password)).await
    }

    async fn start_with(port: u16, password: Option<Secret>) -> Result<Self, RedisError> {
        let port = match port {
            0 => free_port().await.map_err(RedisError::Start)?,
            port => port,
        };
        let directory = tempfile::tempdir().map_err(RedisError::Start)?;
        let mut command = command();
        // A file that only its owner may read: every user of the machine can list the arguments of a process.
        let settings = password
            .as_ref()
            .map(|password| settings_file(&directory, password));
        let settings = settings.transpose().map_err(RedisError::Start)?;
        command
            .args(settings.as_ref().map(NamedTempFile::path))
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(["--save", "", "--appendonly", "no", "--daemonize", "no"])
            .args(["--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"])
            .current_dir(directory.path())
            .stdin(Stdio::piped()) // open until this process ends
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        // Ctrl-C goes to the whole process group. redis-server must outlive the requests that still use it.
        #[cfg(unix)]
        command.process_group(0);
        let child = command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => RedisError::NotInstalled,
            _ => RedisError::Start(error),
        })?;
        let mut redis = Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            password,
            child,
            _directory: directory,
        };
        redis.wait_until_up().await?;
        Ok(redis)
    }

    /// The value of `REDIS_ENDPOINT` for a client. It holds the password, if there is one.
    pub fn endpoint(&self) -> String {
        match &self.password {
            Some(password) => format!("redis://:{}@{}", password.expose(), self.address),
            None => self.address.to_string(),
        }
    }

    async fn wait_until_up(&mut self) -> Result<(), RedisError> {
        let last_moment = Instant::now() + START_TIMEOUT;
        while Instant::now() < last_moment {
            if let Some(status) = self.child.try_wait().map_err(RedisError::Start)? {
                return Err(ended(status));
            }
            if TcpStream::connect(self.address).await.is_ok() {
                // Another process may have answered, if the port was taken. Then redis-server ends by itself.
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

    /// The process id; `None` once the process has ended.
    pub fn process_id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Kills the process and waits until it has ended.
    pub async fn stop(mut self) {
        // Nothing in it needs to be saved. An error means that it has ended already.
        drop(self.child.kill().await);
    }
}

/// A settings file of redis-server with the password.
fn settings_file(directory: &TempDir, password: &Secret) -> io::Result<NamedTempFile> {
    let mut file = NamedTempFile::new_in(directory)?;
    writeln!(file, "requirepass {}", password.expose())?;
    Ok(file)
}

/// The command of redis-server, without its arguments.
#[cfg(unix)]
fn command() -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", SUPERVISED, "redis-server"]);
    command
}

/// The command of redis-server, without its arguments. Here redis-server goes on running if this process is killed.
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

/// A port that is free at this moment.
async fn free_port() -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    Ok(listener.local_addr()?.port())
}
