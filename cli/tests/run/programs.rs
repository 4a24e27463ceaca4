//! Programs, run alone and by `progress run`, in a terminal and with pipes.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// A shell script, and what happens to it.
pub struct Program {
    pub name: &'static str,
    pub script: String,
    /// What is typed, or sent as input at once if the input is no terminal.
    pub input: &'static str,
    /// The output after which the input is typed or the signal is sent.
    pub after: &'static str,
    pub signal: Option<Signal>,
}

/// Where the inputs and outputs of a program go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// All of them are a terminal.
    Terminal,
    /// The output is a terminal, the input is not.
    OutputTerminal,
    /// All of them are pipes.
    Pipes,
    /// Both outputs are one pipe.
    OnePipe,
}

/// What was seen of a program.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    pub stdout: String,
    pub stderr: String,
    pub exit_code: i32,
}

impl Seen {
    /// A notice begins a line.
    pub fn end_line(&mut self, place: Place) {
        let (output, end) = match place {
            Place::Terminal | Place::OutputTerminal => (&mut self.stdout, "\r\n"),
            Place::Pipes => (&mut self.stderr, "\n"),
            Place::OnePipe => (&mut self.stdout, "\n"),
        };
        if !output.is_empty() && !output.ends_with('\n') {
            output.push_str(end);
        }
    }
}

/// What was seen, and what `progress run` printed besides.
pub struct Run {
    pub seen: Seen,
    pub notices: Vec<String>,
    pub time: Duration,
}

/// Runs the program by `progress run` with these variables and options, or alone.
pub fn run(program: &Program, place: Place, service: Option<(&str, &[&str])>) -> Run {
    let mut command = match service {
        Some((url, options)) => {
            let mut command = Command::new(env!("CARGO_BIN_EXE_progress"));
            command.arg("run").args(options).args(["--", "sh", "-c"]);
            command.env("PROGRESS_URL", url);
            command.env("PROGRESS_TOKEN", "the-token-of-the-test");
            command
        }
        None => {
            let mut command = Command::new("sh");
            command.arg("-c");
            command
        }
    };
    command.arg(&program.script);
    let start = Instant::now();
    let (stdout, stderr, status) = match place {
        Place::Terminal => in_terminal(program, command, None),
        Place::OutputTerminal => {
            let (input, mut writer) = std::io::pipe().unwrap();
            writer.write_all(program.input.as_bytes()).unwrap();
            drop(writer);
            in_terminal(program, command, Some(input.into()))
        }
        Place::Pipes => with_pipes(program, command),
        Place::OnePipe => {
            let (output, writer) = std::io::pipe().unwrap();
            command.stdout(writer.try_clone().unwrap()).stderr(writer);
            let child = command.stdin(Stdio::null()).spawn().unwrap();
            drop(command);
            let (stdout, status) = watch(program, child, output, None);
            (stdout, Vec::new(), status)
        }
    };
    let time = start.elapsed();
    let mut notices = Vec::new();
    let mut without_notices = |bytes: Vec<u8>| {
        let is_notice = |line: &&[u8]| line.starts_with(b"progress: ");
        let mut output = Vec::new();
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if is_notice(&line) {
                notices.push(String::from_utf8_lossy(line).trim().to_owned());
            } else {
                output.extend_from_slice(line);
            }
        }
        // For a readable difference: each byte is a character.
        output.into_iter().map(char::from).collect::<String>()
    };
    let seen = Seen {
        stdout: without_notices(stdout),
        stderr: without_notices(stderr),
        exit_code: status
            .code()
            .unwrap_or_else(|| 128 + status.signal().unwrap()),
    };
    Run {
        seen,
        notices,
        time,
    }
}

fn in_terminal(
    program: &Program,
    command: Command,
    input: Option<Stdio>,
) -> (Vec<u8>, Vec<u8>, ExitStatus) {
    let (pty, pts) = pty_process::blocking::open().unwrap();
    pty.resize(pty_process::Size::new(33, 101)).unwrap();
    let mut command = pty_process::blocking::Command::from(command);
    let is_typed = input.is_none();
    if let Some(input) = input {
        command = command.stdin(input);
    }
    let child = command.spawn(pts).unwrap();
    let pty = File::from(std::os::fd::OwnedFd::from(pty));
    let typed = is_typed.then(|| pty.try_clone().unwrap());
    let (output, status) = watch(program, child, pty, typed);
    (output, Vec::new(), status)
}

fn with_pipes(program: &Program, mut command: Command) -> (Vec<u8>, Vec<u8>, ExitStatus) {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.process_group(0).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    // A program need not read its input.
    drop(input.write_all(program.input.as_bytes()));
    drop(input);
    let mut errors = child.stderr.take().unwrap();
    let stderr = thread::spawn(move || {
        let mut stderr = Vec::new();
        errors.read_to_end(&mut stderr).unwrap();
        stderr
    });
    let output = child.stdout.take().unwrap();
    let (stdout, status) = watch(program, child, output, None);
    (stdout, stderr.join().unwrap(), status)
}

/// Reads to the end. Types the input and sends the signal when it is their time.
fn watch(
    program: &Program,
    mut child: Child,
    mut output: impl Read,
    mut typed: Option<File>,
) -> (Vec<u8>, ExitStatus) {
    let (mut seen, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
    let mut signal = program.signal;
    loop {
        // A terminal ends with an error.
        let count = output.read(&mut buffer).unwrap_or(0);
        if count == 0 {
            break;
        }
        seen.extend_from_slice(&buffer[..count]);
        if !program.after.is_empty() && String::from_utf8_lossy(&seen).contains(program.after) {
            if let Some(mut typed) = typed.take() {
                typed.write_all(program.input.as_bytes()).unwrap();
            }
            if let Some(signal) = signal.take() {
                kill_process(Pid::from_child(&child), signal).unwrap();
            }
        }
    }
    (seen, child.wait().unwrap())
}
