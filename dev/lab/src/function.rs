//! The process of a function, started as Lambda does, and its costs.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use testkit::runtime_api::{Invocation, RuntimeApi};
use tokio::runtime::{Builder, Runtime};

/// The time until the deadline of an invocation.
const TIME_LIMIT: Duration = Duration::from_secs(900);

/// A running function. Dropping it kills the process.
#[derive(Debug)]
pub struct Function {
    child: Child,
    api: RuntimeApi,
    /// Runs the Runtime API in the thread that calls the function.
    runtime: Runtime,
    /// Its standard error.
    log: File,
    /// The time from the start of the process until it asked for an event.
    pub ready_after: Duration,
    started: Instant,
}

impl Drop for Function {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Function {
    /// Starts `program`. Its environment is what Lambda sets, and `environment`.
    ///
    /// `wrapper` is a command that starts the program, for example to limit it. It may be empty.
    ///
    /// # Errors
    ///
    /// If the program can't be started, or does not ask for an event.
    pub fn start(
        program: &Path,
        environment: &[(String, String)],
        wrapper: &[String],
    ) -> io::Result<Self> {
        let log = tempfile::tempfile()?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let mut api = runtime.block_on(RuntimeApi::start())?;
        api.time_limit = TIME_LIMIT;
        let mut command = match wrapper.split_first() {
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
            None => Command::new(program),
        };
        command
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", &api.address)
            .env("AWS_LAMBDA_FUNCTION_NAME", "measured")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_LOG_FORMAT", "JSON")
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.try_clone()?);
        let started = Instant::now();
        let mut function = Self {
            child: command.spawn()?,
            api,
            runtime,
            log,
            ready_after: Duration::ZERO,
            started,
        };
        let outcome = function.runtime.block_on(function.api.ready());
        function.ready_after = started.elapsed();
        match outcome {
            Ok(()) => Ok(function),
            Err(error) => Err(function.explained(&error)),
        }
    }

    /// Hands an event to the function and waits for its answer.
    ///
    /// # Errors
    ///
    /// If the function does not answer, or answers with an error.
    pub fn invoke(&mut self, event: &[u8]) -> io::Result<Invocation> {
        let outcome = match self.attempt(event) {
            Ok(invocation) if invocation.is_error => {
                let answer = String::from_utf8_lossy(&invocation.answer);
                Err(io::Error::other(format!("the function failed: {answer}")))
            }
            outcome => outcome,
        };
        outcome.map_err(|error| self.explained(&error))
    }

    /// An error, with the log of the function.
    fn explained(&mut self, error: &io::Error) -> io::Error {
        let mut log = String::new();
        let read = self
            .log
            .rewind()
            .and_then(|()| self.log.read_to_string(&mut log));
        match read {
            Ok(_) => io::Error::other(format!("{error}; the log of the function: {log}")),
            Err(_) => io::Error::other(error.to_string()),
        }
    }

    /// As [`invoke`](Self::invoke), but the answer may be an error.
    ///
    /// # Errors
    ///
    /// If the function does not answer.
    pub fn attempt(&mut self, event: &[u8]) -> io::Result<Invocation> {
        self.runtime.block_on(self.api.invoke(event))
    }

    /// The time since its process was started.
    pub fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// The id of its process.
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// The processor time of all its threads so far.
    ///
    /// # Errors
    ///
    /// If the system does not report it (Linux does).
    pub fn cpu_time(&self) -> io::Result<Duration> {
        let mut total = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let text = fs::read_to_string(thread?.path().join("schedstat"))?;
            let nanos = text.split(' ').next().unwrap_or_default();
            total += nanos.parse::<u64>().map_err(io::Error::other)?;
        }
        Ok(Duration::from_nanos(total))
    }

    /// Its peak memory, in bytes.
    ///
    /// # Errors
    ///
    /// If the system does not report it (Linux does).
    pub fn peak_memory(&self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let kib = kib.ok_or_else(|| io::Error::other("no VmHWM"))?;
        Ok(kib.parse::<u64>().map_err(io::Error::other)? * 1024)
    }
}
