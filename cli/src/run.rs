//! `progress run`: runs a command as if it were started alone, and sends what it prints to the
//! service.

use std::ffi::OsString;
use std::io::{self, ErrorKind, PipeReader, PipeWriter};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitCode, ExitStatus};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{fs::File, thread};

use progress_core::error::error_chain;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use rustix::stdio::{stderr, stdin};
use signal_hook::low_level::signal_name;

use crate::args::RunArgs;
use crate::plain_text::plain;
use crate::settings::{HOW_TO_SET, Settings};

mod context;
mod copy;
mod lines;
mod notices;
mod queue;
mod redactor;
mod sender;
mod signals;
mod stdio;

use copy::{copy_input, copy_output};
use notices::Notices;
use queue::{End, Queue};
use sender::Sender;
use signals::Target;
use stdio::Started;

/// How long the end of the command waits for the delivery of its output.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs the command. The exit code is the command's: 128 and the number of the signal that ended
/// it, 127 if there is no such program, 126 if it can't be started.
pub fn run(args: &RunArgs) -> ExitCode {
    let Some((program, arguments)) = args.command.split_first() else {
        return ExitCode::from(2);
    };
    let stderr = match stderr().try_clone_to_owned() {
        Ok(stderr) => File::from(stderr),
        Err(_) => return run_alone(program, arguments),
    };
    let notices = Arc::new(Notices::new(stderr, args.quiet));
    let service = match Settings::find() {
        Ok(settings) => {
            if let Some(path) = settings.exposed_file {
                let path = path.display();
                notices.add(&format!(
                    "{path} holds a token and others can read it: chmod 600"
                ));
            }
            if settings.service.is_none() {
                notices.add(&format!("the run is not shown anywhere: {HOW_TO_SET}"));
            }
            settings.service
        }
        Err(error) => {
            let error = error_chain(&error);
            notices.add(&format!("the run is not shown anywhere: {error}"));
            None
        }
    };
    let Some(service) = service else {
        return run_alone(program, arguments);
    };
    let started = io::pipe().and_then(|pipe| Ok((stdio::start(program, arguments)?, pipe)));
    let (started, ended) = match started {
        Ok(started) => started,
        Err(error) => return not_started(program, &error),
    };
    let queue = Arc::new(Queue::default());
    let sender = Sender::new(service, args.clone(), queue.clone(), notices.clone());
    let status = match attend(started, ended, sender, &queue, &notices) {
        Ok(status) => status,
        Err(error) => {
            eprintln!("progress: can't wait for the command: {error}");
            return ExitCode::FAILURE;
        }
    };
    let signal = status.signal().map(|number| match signal_name(number) {
        Some(name) => name.to_owned(),
        None => format!("SIG{number}"),
    });
    let code = status.code().or_else(|| Some(128 + status.signal()?));
    let code = code.unwrap_or(1);
    queue.finish(signal.map_or(End::ExitCode(code), End::Signal));
    let delivery = queue.wait_for_delivery(DELIVERY_TIMEOUT);
    if delivery.lost > 0 {
        let all = delivery.lost + delivery.delivered;
        notices.add(&format!(
            "{} of {all} lines were not delivered",
            delivery.lost
        ));
    }
    notices.finish();
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

/// Waits until the command has ended and its output is written.
fn attend(
    started: Started,
    (ended, end): (PipeReader, PipeWriter),
    sender: Sender,
    queue: &Arc<Queue>,
    notices: &Notices,
) -> io::Result<ExitStatus> {
    let Started {
        mut child,
        outlets,
        pty,
        raw_terminal,
        has_device,
    } = started;
    if has_device {
        notices.add("what the command writes to a device is not sent");
    }
    let pid = Pid::from_child(&child);
    let leads_session = raw_terminal.is_some();
    notices.set_raw(leads_session);
    let target = Target::new(pid, leads_session);
    let clone = |file: &File| file.try_clone();
    if leads_session && let Some(pty) = &pty {
        let (terminal, pty) = (stdin().try_clone_to_owned()?.into(), clone(pty)?);
        let ended = ended.try_clone()?;
        thread::spawn(move || copy_input(terminal, pty, &ended));
    }
    signals::forward(target.clone(), pty, queue.clone())?;
    thread::spawn(move || sender.run());
    let status = thread::scope(|scope| {
        for outlet in outlets {
            scope.spawn(|| copy_output(outlet, &ended, queue, notices));
        }
        // Its number stays its own until `wait`.
        let waited = waitid(
            WaitId::Pid(pid),
            WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
        );
        target.ended();
        let status = child.wait();
        drop(end);
        waited?;
        status
    });
    drop(raw_terminal);
    notices.set_raw(false);
    status
}

/// Becomes the command. Returns only if that fails.
fn run_alone(program: &OsString, arguments: &[OsString]) -> ExitCode {
    let error = Command::new(program).args(arguments).exec();
    not_started(program, &error)
}

/// Says why the command was not started. The exit codes are those of a shell.
fn not_started(program: &OsString, error: &io::Error) -> ExitCode {
    let program = plain(&program.to_string_lossy());
    eprintln!("progress: can't run {program}: {error}");
    match error.kind() {
        ErrorKind::NotFound => ExitCode::from(127),
        _ => ExitCode::from(126),
    }
}

/// The time, in milliseconds since 1970.
fn now_ms() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since_epoch.unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
}
