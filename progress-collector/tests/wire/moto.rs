//! moto's server: an emulator of CloudWatch Logs and EventBridge, with pages and stable event ids.
//!
//! It is a child process of the tests, which end it by its handle.

use std::env;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

/// How long the server may take to start, on a busy machine.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// The running server, if any.
static RUNNING: Mutex<Weak<Moto>> = Mutex::new(Weak::new());

/// The server. It stops when it is dropped.
pub(crate) struct Moto {
    child: Child,
    pub(crate) endpoint_url: String,
}

impl Drop for Moto {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Moto {
    /// The server that all running tests share. Starts it if none is running.
    pub(crate) fn shared() -> Arc<Self> {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        running.upgrade().unwrap_or_else(|| {
            let moto = Arc::new(Self::start());
            *running = Arc::downgrade(&moto);
            moto
        })
    }

    fn start() -> Self {
        let program = env::var("MOTO_SERVER").unwrap_or_else(|_| "moto_server".to_owned());
        let child = Command::new(&program)
            // Port 0 means any free port. The server prints its address when it listens.
            .args(["--host", "127.0.0.1", "--port", "0"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = child.unwrap_or_else(|error| not_installed(&program, &error.to_string()));
        let (sender, lines) = mpsc::channel();
        let stderr = child.stderr.take().unwrap();
        thread::spawn(move || forward_lines(stderr, &sender));

        let mut before = String::new();
        loop {
            match lines.recv_timeout(START_TIMEOUT) {
                Ok(line) => {
                    if let Some(endpoint_url) = endpoint_url(&line) {
                        return Self {
                            child,
                            endpoint_url,
                        };
                    }
                    before.push_str(&line);
                    before.push('\n');
                }
                Err(RecvTimeoutError::Timeout) => {
                    drop(child.kill());
                    drop(child.wait());
                    panic!(
                        "`{program}` does not listen after {START_TIMEOUT:?}; its output:\n{before}"
                    );
                }
                Err(RecvTimeoutError::Disconnected) => {
                    drop(child.wait());
                    not_installed(&program, &before);
                }
            }
        }
    }
}

/// Forwards the server's output. Reads all of it, because a full pipe would block the server.
fn forward_lines(stderr: ChildStderr, sender: &Sender<String>) {
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        drop(sender.send(line));
    }
}

/// The address in ` * Running on http://127.0.0.1:41793`.
fn endpoint_url(line: &str) -> Option<String> {
    let (_, address) = line.split_once("Running on ")?;
    let address = address.split_whitespace().next()?;
    Some(address.to_owned())
}

fn not_installed(program: &str, reason: &str) -> ! {
    panic!(
        "these tests need moto's server, and `{program}` can't be started: {reason}\n\
         run them with `scripts/test`, which installs it; or install it with `pip install 'moto[server]'`, \
         and put `moto_server` on PATH or set MOTO_SERVER"
    )
}
