//! Running the program and talking to it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// For how long anything may take. Generous: machines that test are busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program with these arguments and nothing of the environment that would change what it does.
pub(crate) fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
    command.args(arguments);
    for name in [
        "AUTH_GATEWAY_CLAIMS",
        "AUTH_HS256_SECRET",
        "AUTH_JWKS",
        "AUTH_MODE",
        "AUTH_PUBLIC_KEY",
        "REDIS_ENDPOINT",
        "RUST_LOG",
        "STALE_AFTER_SECONDS",
        "COLUMNS",
    ] {
        command.env_remove(name);
    }
    command
}

/// What the program does with these arguments and this input.
pub(crate) fn run(arguments: &[&str], input: &[u8]) -> Output {
    let mut command = program(arguments);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A program that ends without reading its input has closed the pipe.
    drop(child.stdin.take().unwrap().write_all(input));
    child.wait_with_output().unwrap()
}

/// Waits until `look` finds something.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(found) = look() {
            return found;
        }
        std::thread::yield_now();
    }
    panic!("waited in vain for {what}")
}

/// The program while it runs; it is killed when this is dropped.
pub(crate) struct Running {
    child: Child,
    output: BufReader<ChildStdout>,
    /// The lines it has printed so far.
    pub(crate) printed: Vec<String>,
}

impl Running {
    /// Starts it and reads what it prints, up to the line that begins with `last`.
    pub(crate) fn start(arguments: &[&str], last: &str) -> Self {
        Self::spawn(program(arguments), last)
    }

    /// Starts what [`program`] gave and reads what it prints, up to the line that begins with `last`.
    pub(crate) fn spawn(mut command: Command, last: &str) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut running = Self {
            child,
            output,
            printed: Vec::new(),
        };
        loop {
            let mut line = String::new();
            assert_ne!(
                running.output.read_line(&mut line).unwrap(),
                0,
                "it has ended"
            );
            let line = line.trim().to_owned();
            let is_last = line.starts_with(last);
            running.printed.push(line);
            if is_last {
                return running;
            }
        }
    }

    /// Starts `serve` on a free port.
    pub(crate) fn serve(arguments: &[&str]) -> Self {
        Self::start(&[&["serve", "--port", "0"], arguments].concat(), "End")
    }

    /// The first `host:port` in a printed line that contains `marker`.
    pub(crate) fn address(&self, marker: &str) -> String {
        let mut lines = self.printed.iter();
        let line = lines.find(|line| line.contains(marker)).unwrap();
        let start = line.find("127.0.0.1:").unwrap();
        let address = line.get(start..).unwrap();
        let is_inside = |char: char| char.is_ascii_digit() || ".:".contains(char);
        address
            .chars()
            .take_while(|char| is_inside(*char))
            .collect()
    }

    /// Gives it a line of input.
    pub(crate) fn input(&mut self, text: &str) {
        let input = self.child.stdin.as_mut().unwrap();
        input.write_all(text.as_bytes()).unwrap();
        input.flush().unwrap();
    }

    /// The answer to a GET request with these headers, each with its line end, as it comes.
    pub(crate) fn ask(&self, path: &str, headers: &str) -> String {
        let mut stream = TcpStream::connect(self.address("Miyabi Progress")).unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// The answer to a GET request, as JSON.
    pub(crate) fn get(&self, path: &str) -> Value {
        let answer = self.ask(path, "");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        // A body of unknown length comes in chunks; ours is known.
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }

    /// The task of this log stream, if there is one.
    pub(crate) fn task(&self, log_stream: &str) -> Option<Value> {
        let page = self.get("/api/tasks?limit=200");
        let tasks = page["tasks"].as_array().unwrap().clone();
        tasks
            .into_iter()
            .find(|task| task["log_stream"] == log_stream)
    }

    /// Sends it a signal and waits until it has ended.
    pub(crate) fn end(mut self, signal: &str) -> ExitStatus {
        let id = self.child.id().to_string();
        let sent = Command::new("kill")
            .args(["-s", signal, &id])
            .status()
            .unwrap();
        assert!(sent.success());
        let start = Instant::now();
        let status = wait_for("the end", || self.child.try_wait().unwrap());
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "it ends promptly"
        );
        status
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
