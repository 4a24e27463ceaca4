//! Copies bytes between the command and the files of `progress run`, as they are.

use std::fs::File;
use std::io::{self, ErrorKind, PipeReader, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::{Command, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::notices::Notices;
use super::queue::Queue;
use super::stdio::Outlet;

const BUFFER_BYTES: usize = 64 * 1024;

/// Copies an output of the command to where it goes to, and then to the queue, until it ends. When
/// `ended` is closed, it ends as soon as nothing is left to read.
pub(crate) fn copy_output(outlet: Outlet, ended: &PipeReader, queue: &Queue, notices: &Notices) {
    let Outlet {
        mut source,
        mut target,
        output,
        has_notices,
    } = outlet;
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match wait_for_input(source.as_fd(), ended) {
            Ready::Input => {}
            Ready::Ended => return hand_over(source, target),
        }
        let bytes = match source.read(&mut buffer) {
            Err(error) if is_passing(&error) => continue,
            // A pseudoterminal ends with an error.
            Err(_) | Ok(0) => return,
            Ok(count) => buffer.get(..count).unwrap_or_default(),
        };
        let mut write = || write_all(&mut target, bytes);
        let written = if has_notices {
            notices.around(bytes, write)
        } else {
            write()
        };
        queue.push(output, super::now_ms(), bytes);
        if let Err(error) = written {
            if error.kind() != ErrorKind::BrokenPipe {
                notices.add(&format!(
                    "can't write what the command prints, so its next write will fail: {error}"
                ));
            }
            // The command sees the closed output by itself.
            return;
        }
    }
}

/// Copies what is typed to the pseudoterminal of the command, until `ended` is closed.
pub(crate) fn copy_input(mut terminal: File, mut pty: File, ended: &PipeReader) {
    let mut buffer = vec![0; BUFFER_BYTES];
    while let Ready::Input = wait_for_input(terminal.as_fd(), ended) {
        let bytes = match terminal.read(&mut buffer) {
            Err(error) if is_passing(&error) => continue,
            Err(_) | Ok(0) => return,
            Ok(count) => buffer.get(..count).unwrap_or_default(),
        };
        if write_all(&mut pty, bytes).is_err() {
            return;
        }
    }
}

enum Ready {
    /// There is input, or its end.
    Input,
    /// There is no input, and the command has ended.
    Ended,
}

fn wait_for_input(source: BorrowedFd<'_>, ended: &PipeReader) -> Ready {
    let mut has_ended = false;
    loop {
        let mut files = [
            PollFd::from_borrowed_fd(source, PollFlags::IN),
            PollFd::new(ended, PollFlags::IN),
        ];
        let timeout = has_ended.then(Timespec::default);
        let polled = poll(&mut files, timeout.as_ref());
        let [source_events, ended_events] = files.map(|file| file.revents());
        // Reading finds out what is wrong.
        if !source_events.is_empty()
            || polled.is_err_and(|error| io::Error::from(error).kind() != ErrorKind::Interrupted)
        {
            return Ready::Input;
        }
        if has_ended && polled.is_ok() {
            return Ready::Ended;
        }
        has_ended = !ended_events.is_empty();
    }
}

/// Writes everything, also to a file that another program has made non-blocking.
fn write_all(target: &mut File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match target.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                // An error shows again when writing.
                poll(&mut [PollFd::new(target, PollFlags::OUT)], None).ok();
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock)
}

/// Lets `cat` copy what processes print that the command has left behind.
fn hand_over(source: File, target: File) {
    let mut command = Command::new("cat");
    command.stdin(source).stdout(target).stderr(Stdio::null());
    // Without `cat`, their output has no place to go to, as after the end of a terminal.
    drop(command.spawn());
}
