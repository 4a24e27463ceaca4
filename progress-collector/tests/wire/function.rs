//! The collector's binary, run as Lambda runs it.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use testkit::embedded_dynamodb::EmbeddedDynamoDb;
use testkit::runtime_api::{Answer, RuntimeApi};
use tokio::sync::mpsc;

/// The number of SIGKILL.
const SIGKILL: i32 = 9;
/// How long a response may take, on a busy machine.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(120);

/// Invokes the running function, and returns its response, or `Err` with its function error.
///
/// # Panics
///
/// If the function does not respond in time.
pub(crate) async fn invoke(runtime: &mut RuntimeApi, lambda_event: Value) -> Result<Value, Value> {
    runtime.offer(lambda_event);
    match runtime.answer_within(RESPONSE_TIMEOUT).await {
        Some(Answer::Response(response)) => Ok(response),
        Some(Answer::Error(error)) => Err(error),
        None => panic!("the function did not respond within {RESPONSE_TIMEOUT:?}"),
    }
}

/// Offers an invocation, and returns whether the function responds within `timeout`.
pub(crate) async fn responds_within(
    runtime: &mut RuntimeApi,
    lambda_event: Value,
    timeout: Duration,
) -> bool {
    runtime.offer(lambda_event);
    runtime.answer_within(timeout).await.is_some()
}

/// Invokes the function, and returns when `stopped` ends.
///
/// # Panics
///
/// If the function responds before that, or neither happens in time.
pub(crate) async fn invoke_until<T>(
    runtime: &mut RuntimeApi,
    lambda_event: Value,
    stopped: impl Future<Output = T>,
) -> T {
    runtime.offer(lambda_event);
    wait_until(runtime, stopped).await
}

/// Waits until `stopped` ends while an invocation runs.
///
/// # Panics
///
/// If the function responds before that, or neither happens in time.
pub(crate) async fn wait_until<T>(runtime: &mut RuntimeApi, stopped: impl Future<Output = T>) -> T {
    tokio::select! {
        stopped = stopped => stopped,
        response = runtime.answer_within(RESPONSE_TIMEOUT) => panic!("unexpected response: {response:?}"),
    }
}

/// A process of the function. It is killed when it is dropped.
pub(crate) struct Function {
    child: Child,
    /// The names of the fault points at which the process stopped.
    stops: mpsc::UnboundedReceiver<String>,
}

impl Drop for Function {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Function {
    /// Starts the function. `settings` are added to those that every test needs.
    pub(crate) fn start(
        runtime: &RuntimeApi,
        dynamodb: &EmbeddedDynamoDb,
        logs_endpoint: &str,
        settings: &[(&str, &str)],
    ) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_progress-collector"))
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .env("AWS_LAMBDA_RUNTIME_API", &runtime.address)
            .env("AWS_LAMBDA_FUNCTION_NAME", "collector")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .envs(dynamodb.environment())
            .env("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", logs_endpoint)
            .env("TASKS_TABLE_NAME", "tasks")
            .env("PROJECTS_TABLE_NAME", "projects")
            .env("CHECKPOINTS_TABLE_NAME", "checkpoints")
            .env("INDEX_SHARDS", "3")
            .env("FIRST_SWEEP_SECONDS", "1800")
            .envs(settings.iter().copied())
            .spawn();
        let mut child = child.unwrap();
        let (sender, stops) = mpsc::unbounded_channel();
        let stderr = child.stderr.take().unwrap();
        thread::spawn(move || forward_stops(stderr, &sender));
        Self { child, stops }
    }

    /// Waits for the next fault point at which the function stops, and returns its name.
    pub(crate) async fn stopped_at(&mut self) -> Option<String> {
        self.stops.recv().await
    }

    /// Lets the function continue from the fault point at which it stopped.
    pub(crate) fn resume(&mut self) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(b"\n").unwrap();
    }

    /// The most memory that the process has used, in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(status).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes: u64 = peak
            .unwrap()
            .trim()
            .trim_end_matches(" kB")
            .parse()
            .unwrap();
        kilobytes * 1024
    }

    /// Kills the function by SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        assert_eq!(
            status.signal(),
            Some(SIGKILL),
            "the function ended by itself"
        );
    }
}

/// Forwards the names of fault points in the output. Reads all of it, because a full pipe would
/// block the process.
fn forward_stops(stderr: ChildStderr, sender: &mpsc::UnboundedSender<String>) {
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        if let Some(point) = line.strip_prefix("stopped at ") {
            drop(sender.send(point.to_owned()));
        }
    }
}
