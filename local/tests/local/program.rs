//! Runs the program and sends it requests.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long any step may take. It is long, because test machines are busy.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The program with these arguments, without the environment variables that change what it does.
pub(crate) fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
    command.args(arguments);
    for name in [
        "AUTH_GATEWAY_CLAIMS",
        "AUTH_HS256_SECRET",
        "AUTH_JWKS",
        "AUTH_MODE",
        "AUTH_PUBLIC_KEY",
        "CORS_ALLOWED_ORIGINS",
        "REDIS_ENDPOINT",
        "RUST_LOG",
        "STALE_AFTER_SECONDS",
        "COLUMNS",
    ] {
        command.env_remove(name);
    }
    command
}

/// Runs the program with these arguments and this input to its end.
pub(crate) fn run(arguments: &[&str], input: &[u8]) -> Output {
    let mut command = program(arguments);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // An error means that the program ended without reading its input.
    drop(child.stdin.take().unwrap().write_all(input));
    child.wait_with_output().unwrap()
}

/// Calls `find` until it finds something.
pub(crate) fn wait_for<T>(what: &str, mut find: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    while start.elapsed() < TIMEOUT {
        if let Some(found) = find() {
            return found;
        }
        std::thread::yield_now();
    }
    panic!("timed out waiting for {what}")
}

/// Sends a request to this address and returns the response, which ends with the connection.
pub(crate) fn exchange(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = Vec::new();
    stream.read_to_end(&mut response).unwrap();
    String::from_utf8_lossy(&response).into_owned()
}

/// The running program. It is killed when this is dropped.
pub(crate) struct Running {
    child: Child,
    /// What it prints besides its banner, if that is on standard error.
    pub(crate) output: Option<ChildStdout>,
    /// The lines of the banner.
    pub(crate) printed: Vec<String>,
    /// Where the banner was, so that the program can go on printing.
    banner: Box<dyn BufRead>,
}

impl Running {
    /// Starts the program and reads its output up to the line that begins with `last`.
    pub(crate) fn start(arguments: &[&str], last: &str) -> Self {
        Self::spawn(program(arguments), last)
    }

    /// Starts the command and reads its output up to the line that begins with `last`.
    pub(crate) fn spawn(mut command: Command, last: &str) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let banner = Box::new(BufReader::new(child.stdout.take().unwrap()));
        Self::read_banner(child, banner, last)
    }

    /// Starts `serve` on a free port, with standard input as a log. Its banner is on standard error.
    pub(crate) fn serve_input(arguments: &[&str]) -> Self {
        let mut command = program(&[&["serve", "--port", "0", "--no-redis"], arguments].concat());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let banner = Box::new(BufReader::new(child.stderr.take().unwrap()));
        Self::read_banner(child, banner, "End")
    }

    fn read_banner(mut child: Child, mut banner: Box<dyn BufRead>, last: &str) -> Self {
        let mut printed = Vec::new();
        loop {
            let mut line = String::new();
            assert_ne!(
                banner.read_line(&mut line).unwrap(),
                0,
                "the program has ended"
            );
            let line = line.trim().to_owned();
            let is_last = line.starts_with(last);
            printed.push(line);
            if is_last {
                return Self {
                    output: child.stdout.take(),
                    child,
                    printed,
                    banner,
                };
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

    /// The process id.
    pub(crate) fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Writes to its standard input.
    pub(crate) fn input(&mut self, text: &str) {
        let input = self.child.stdin.as_mut().unwrap();
        input.write_all(text.as_bytes()).unwrap();
        input.flush().unwrap();
    }

    /// Sends a GET request with these headers, each with its line end, and returns the response.
    pub(crate) fn ask(&self, path: &str, headers: &str) -> String {
        let address = self.address("Miyabi Progress");
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}Connection: close\r\n\r\n");
        exchange(&address, &request)
    }

    /// The JSON body of the response to a GET request.
    pub(crate) fn get(&self, path: &str) -> Value {
        let response = self.ask(path, "");
        assert!(response.starts_with("HTTP/1.1 200"), "{response}");
        let (_, body) = response.split_once("\r\n\r\n").unwrap();
        // The API knows the length of its bodies, so none is sent in chunks.
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {response}"))
    }

    /// The task of this log stream, if it exists.
    pub(crate) fn task(&self, log_stream: &str) -> Option<Value> {
        let page = self.get("/api/tasks?limit=200");
        let tasks = page["tasks"].as_array().unwrap().clone();
        tasks
            .into_iter()
            .find(|task| task["log_stream"] == log_stream)
    }

    /// The next line on standard error, if the banner is there.
    pub(crate) fn next_line(&mut self) -> String {
        let mut line = String::new();
        self.banner.read_line(&mut line).unwrap();
        line
    }

    /// Ends its standard input.
    pub(crate) fn end_input(&mut self) {
        self.child.stdin = None;
    }

    /// Waits until it has ended.
    pub(crate) fn wait(mut self) -> ExitStatus {
        wait_for("the end of the program", || self.child.try_wait().unwrap())
    }

    /// Sends a signal to the program.
    pub(crate) fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let mut kill = Command::new("kill");
        assert!(kill.args(["-s", signal, &id]).status().unwrap().success());
    }

    /// Sends a signal to the program and waits until it has ended.
    pub(crate) fn end(mut self, signal: &str) -> ExitStatus {
        self.signal(signal);
        let start = Instant::now();
        let status = wait_for("the end of the program", || self.child.try_wait().unwrap());
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "the program must end promptly"
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
