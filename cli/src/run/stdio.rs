//! The inputs and outputs of a command: of the same kind as those of `progress run`.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Child, Command};

use pty_process::blocking::{Command as SessionCommand, Pts, Pty};
use rustix::fs::{FileType, fstat, stat};
use rustix::process::getpgrp;
use rustix::stdio::{stderr, stdin, stdout};
use rustix::termios::{
    OptionalActions, OutputModes, Termios, isatty, tcgetattr, tcgetpgrp, tcgetwinsize, tcsetattr,
    tcsetwinsize,
};

use super::queue::Output;

/// One output of the command, and where it goes to.
pub(crate) struct Outlet {
    /// What the command writes.
    pub(crate) source: File,
    /// Where the command alone would write it.
    pub(crate) target: File,
    /// Which of the outputs it is.
    pub(crate) output: Output,
    /// Whether notices are printed to the same place.
    pub(crate) has_notices: bool,
}

/// A started command.
pub(crate) struct Started {
    pub(crate) child: Child,
    pub(crate) outlets: Vec<Outlet>,
    /// The pseudoterminal, if an output is a terminal.
    pub(crate) pty: Option<File>,
    /// The user's terminal, if the command has another one for its input too. Then the command
    /// leads a session.
    pub(crate) raw_terminal: Option<RawTerminal>,
    /// Whether an output is a device that the command writes to itself.
    pub(crate) has_device: bool,
}

/// Starts the command.
///
/// An output that is a terminal becomes a pseudoterminal, any other one a pipe. Only a device such as
/// `/dev/full` stays as it is, because a pipe would not fail as it does. If input and output
/// are terminals, the pseudoterminal is the command's only terminal. Else the command stays in the
/// session and process group of `progress run`, with the same input: it reads the user's terminal
/// itself, and the terminal's signals reach it.
///
/// # Errors
///
/// Returns the system's error: that of the program, or of a terminal or pipe.
pub(crate) fn start(program: &OsString, arguments: &[OsString]) -> io::Result<Started> {
    let (is_stdout, is_stderr) = (isatty(stdout()), isatty(stderr()));
    let is_foreground = || tcgetpgrp(stdin()).is_ok_and(|group| group == getpgrp());
    let leads_session = is_stdout && isatty(stdin()) && is_foreground();
    let pty = (is_stdout || is_stderr).then(open_pty).transpose()?;
    let open = |output, target, is_terminal: bool| {
        if !is_terminal && is_device(target) {
            return Ok((None, clone(target)?));
        }
        let (source, end) = match &pty {
            Some((pty, pts)) if is_terminal => (clone(pty.as_fd())?, clone(pts.as_fd())?),
            _ => pipe()?,
        };
        let outlet = Outlet {
            source: source.into(),
            target: clone(target)?.into(),
            output,
            has_notices: output == Output::Stderr,
        };
        io::Result::Ok((Some(outlet), end))
    };
    let (mut outlet, first_end) = open(Output::Stdout, stdout(), is_stdout)?;
    let mut has_device = outlet.is_none();
    let mut outlets = Vec::new();
    // One way for both keeps their order.
    let second_end = if is_stdout == is_stderr && (is_stdout || is_same_file()) {
        if let Some(outlet) = &mut outlet {
            outlet.has_notices = true;
        }
        clone(first_end.as_fd())?
    } else {
        let (outlet, end) = open(Output::Stderr, stderr(), is_stderr)?;
        has_device |= outlet.is_none();
        outlets.extend(outlet);
        end
    };
    outlets.extend(outlet);
    let Some((pty, pts)) = pty else {
        let mut command = Command::new(program);
        command.args(arguments).stdout(first_end).stderr(second_end);
        return Ok(Started {
            child: command.spawn()?,
            outlets,
            pty: None,
            raw_terminal: None,
            has_device,
        });
    };
    copy_window_size(pty.as_fd());
    let mut raw_terminal = None;
    let child = if leads_session {
        let terminal = RawTerminal::enter()?;
        // The pseudoterminal does what the user's terminal has done until now.
        tcsetattr(&pts, OptionalActions::Now, &terminal.before)?;
        raw_terminal = Some(terminal);
        let command = SessionCommand::new(program).args(arguments);
        let command = command.stdout(first_end).stderr(second_end);
        command.spawn(pts).map_err(|error| match error {
            pty_process::Error::Io(error) => error,
            pty_process::Error::Rustix(error) => error.into(),
        })?
    } else {
        // The user's terminal still changes what is written to it.
        let mut attributes = tcgetattr(&pts)?;
        attributes.output_modes.remove(OutputModes::OPOST);
        tcsetattr(&pts, OptionalActions::Now, &attributes)?;
        let mut command = Command::new(program);
        command.args(arguments).stdout(first_end).stderr(second_end);
        command.spawn()?
    };
    Ok(Started {
        child,
        outlets,
        pty: Some(clone(pty.as_fd())?.into()),
        raw_terminal,
        has_device,
    })
}

/// Gives the pseudoterminal the size of the user's terminal.
pub(crate) fn copy_window_size(pty: BorrowedFd<'_>) {
    let size = tcgetwinsize(stdout()).or_else(|_| tcgetwinsize(stderr()));
    if let Ok(size) = size {
        // A pseudoterminal that has gone needs no size.
        tcsetwinsize(pty, size).ok();
    }
}

/// The user's terminal in raw mode: it passes everything on. Dropping this ends the mode.
pub(crate) struct RawTerminal {
    before: Termios,
}

impl RawTerminal {
    fn enter() -> io::Result<Self> {
        let before = tcgetattr(stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdin(), OptionalActions::Now, &raw)?;
        Ok(Self { before })
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // A terminal that has gone needs no mode.
        tcsetattr(stdin(), OptionalActions::Drain, &self.before).ok();
    }
}

fn open_pty() -> io::Result<(Pty, Pts)> {
    pty_process::blocking::open().map_err(io::Error::other)
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (source, end) = io::pipe()?;
    Ok((source.into(), end.into()))
}

fn clone(file: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    file.try_clone_to_owned()
}

/// Whether a file is a device, but not a terminal, and not `/dev/null`, which takes everything.
fn is_device(file: BorrowedFd<'_>) -> bool {
    let is_null = |device| stat("/dev/null").is_ok_and(|null| null.st_rdev == device);
    fstat(file).is_ok_and(|stat| {
        let file_type = FileType::from_raw_mode(stat.st_mode);
        file_type == FileType::CharacterDevice && !isatty(file) && !is_null(stat.st_rdev)
    })
}

/// Whether both outputs are the same file or pipe.
fn is_same_file() -> bool {
    let place = |file| fstat(file).map(|stat| (stat.st_dev, stat.st_ino)).ok();
    let (first, second) = (place(stdout()), place(stderr()));
    first.is_some() && first == second
}
