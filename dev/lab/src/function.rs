//! A function's process, as Lambda starts it, and what it costs.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::runtime_api::{Invocation, RuntimeApi};

/// A running function; it is killed when this is dropped.
#[derive(Debug)]
pub struct Function {
    child: Child,
    runtime: RuntimeApi,
    /// What it says.
    log: File,
    /// From the start of the process until it asked for an event.
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
    /// Starts `program` with nothing in its environment but what Lambda puts there, and `environment`.
    ///
    /// `before` is a command that becomes the program, like one that limits it; it may be empty.
    ///
    /// # Errors
    ///
    /// That it can't be started, or does not ask for an event.
    pub fn start(
        program: &Path,
        environment: &[(String, String)],
        before: &[String],
    ) -> io::Result<Self> {
        let log = tempfile::tempfile()?;
        let runtime = RuntimeApi::start()?;
        let mut command = match before.split_first() {
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
            None => Command::new(program),
        };
        command
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", runtime.address()?.to_string())
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
            runtime,
            log,
            ready_after: Duration::ZERO,
            started,
        };
        let outcome = function.runtime.wait_until_ready();
        function.ready_after = started.elapsed();
        match outcome {
            Ok(()) => Ok(function),
            Err(error) => Err(function.explained(&error)),
        }
    }

    /// Hands it an event and waits for its answer.
    ///
    /// # Errors
    ///
    /// That it does not answer, or answers by an error.
    pub fn invoke(&mut self, event: &[u8]) -> io::Result<Invocation> {
        let outcome = self.runtime.invoke(event);
        outcome.map_err(|error| self.explained(&error))
    }

    /// An error, with what the function has said.
    fn explained(&mut self, error: &io::Error) -> io::Error {
        let mut said = String::new();
        let read = self
            .log
            .rewind()
            .and_then(|()| self.log.read_to_string(&mut said));
        match read {
            Ok(_) => io::Error::other(format!("{error}; the function says: {said}")),
            Err(_) => io::Error::other(error.to_string()),
        }
    }

    /// As [`invoke`](Self::invoke), but that it may answer by an error.
    ///
    /// # Errors
    ///
    /// That it does not answer.
    pub fn attempt(&mut self, event: &[u8]) -> io::Result<Invocation> {
        self.runtime.attempt(event)
    }

    /// How long ago its process was started.
    pub fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// The number of its process.
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// The processor time of all its threads so far.
    ///
    /// # Errors
    ///
    /// That the system does not say (it is Linux that does).
    pub fn cpu_time(&self) -> io::Result<Duration> {
        let mut total = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let text = fs::read_to_string(thread?.path().join("schedstat"))?;
            let nanos = text.split(' ').next().unwrap_or_default();
            total += nanos.parse::<u64>().map_err(io::Error::other)?;
        }
        Ok(Duration::from_nanos(total))
    }

    /// The most memory that it had at a time, in bytes.
    ///
    /// # Errors
    ///
    /// That the system does not say (it is Linux that does).
    pub fn peak_memory(&self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let kib = kib.ok_or_else(|| io::Error::other("no VmHWM"))?;
        Ok(kib.parse::<u64>().map_err(io::Error::other)? * 1024)
    }
}
