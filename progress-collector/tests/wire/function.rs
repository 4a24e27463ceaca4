//! The collector's binary, as Lambda runs it.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread;

use testkit::embedded_dynamodb::EmbeddedDynamoDb;
use tokio::sync::mpsc;

use crate::runtime_api::RuntimeApi;

/// The number of SIGKILL, which no process survives or notices.
const SIGKILL: i32 = 9;

/// A process of it; it is killed when this is dropped.
pub(crate) struct Function {
    child: Child,
    stops: mpsc::UnboundedReceiver<String>,
}

impl Drop for Function {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Function {
    /// Starts it, with settings that go beyond what every test needs.
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
        let (says, stops) = mpsc::unbounded_channel();
        let stderr = child.stderr.take().unwrap();
        thread::spawn(move || listen(stderr, &says));
        Self { child, stops }
    }

    /// The name of the next fault point at which it stops.
    pub(crate) async fn stopped_at(&mut self) -> Option<String> {
        self.stops.recv().await
    }

    /// Lets it go on from the fault point at which it has stopped.
    pub(crate) fn go_on(&mut self) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(b"\n").unwrap();
    }

    /// Kills it: nothing of it runs any more, whatever it was doing.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        assert_eq!(status.signal(), Some(SIGKILL), "it ended by itself");
    }
}

/// Hands on where the process says it has stopped; reads all that it says, or it would block.
fn listen(stderr: ChildStderr, says: &mpsc::UnboundedSender<String>) {
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        if let Some(point) = line.strip_prefix("stopped at ") {
            drop(says.send(point.to_owned()));
        }
    }
}
