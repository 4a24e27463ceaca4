//! A CloudWatch Logs on the loopback interface: moto's server, which pages and keeps its event ids.
//!
//! It is a child of the tests and is ended through its own handle, never by a signal to a number.

use std::env;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

/// How long the server may take to start, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The server that runs now, if one does.
static RUNNING: Mutex<Weak<Moto>> = Mutex::new(Weak::new());

/// A server that ends when it is dropped.
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
    /// The server that all tests share that run at this time, started if there is none.
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
            // Port 0: a free one, which it names when it listens.
            .args(["--host", "127.0.0.1", "--port", "0"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = child.unwrap_or_else(|error| not_installed(&program, &error.to_string()));
        let (says, said) = mpsc::channel();
        let stderr = child.stderr.take().unwrap();
        thread::spawn(move || listen(stderr, &says));

        let mut before = String::new();
        loop {
            match said.recv_timeout(PATIENCE) {
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
                    panic!("`{program}` does not listen after {PATIENCE:?}; it says:\n{before}");
                }
                Err(RecvTimeoutError::Disconnected) => {
                    drop(child.wait());
                    not_installed(&program, &before);
                }
            }
        }
    }
}

/// Hands on what the server says, until nobody wants to know; reads all of it, or the server would block.
fn listen(stderr: ChildStderr, says: &Sender<String>) {
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        drop(says.send(line));
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
        "these tests run on moto's server, and `{program}` can't be started: {reason}\n\
         run them by `scripts/test`, which installs it, or install it (`pip install 'moto[server]'`) so that \
         `moto_server` is on PATH or named by MOTO_SERVER"
    )
}
