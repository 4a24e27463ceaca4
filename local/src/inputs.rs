//! The logs that the command line names.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use cli::log_files::LogFileError;
use shared::log_parser::LogFormat;
use shared::model::Timestamp;
use tokio::sync::oneshot;
use tracing::warn;

use crate::args::ServeArgs;
use crate::followed_files::{Changes, FollowError, FollowedFiles, Spool};
use crate::shutdown::{ShutdownSignals, Signal};

/// Why a log can't be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InputError {
    /// A file or directory can't be followed.
    #[error("invalid --{option}")]
    File {
        option: &'static str,
        #[source]
        source: FollowError,
    },
    #[error(transparent)]
    StandardInput(LogFileError),
    /// The temporary file of a pipe can't be created.
    #[error(
        "can't create a temporary file for {name}: free space, or name another directory in TMPDIR"
    )]
    Spool {
        name: String,
        #[source]
        source: io::Error,
    },
    #[error(
        "--name names what standard input is about, and it is not read: add `--cdk -`, `--agents -` or `--log -`"
    )]
    NameWithoutInput,
}

/// The logs that the command line names.
pub(crate) struct Inputs {
    pub(crate) files: FollowedFiles,
    /// The log stream of standard input, if that is read.
    pub(crate) standard_input: Option<String>,
}

/// Opens the logs that the command line names. `first_seen` is the directory that keeps when lines were first seen.
pub(crate) fn open(args: &ServeArgs, first_seen: Option<PathBuf>) -> Result<Inputs, InputError> {
    let mut files = FollowedFiles::new(first_seen);
    let mut standard_input = None;
    for (format, path) in &args.logs.logs {
        if is_standard_input(path) {
            if standard_input.is_some() {
                return Err(InputError::StandardInput(LogFileError::StandardInputTwice));
            }
            let name = args.name.as_deref().unwrap_or("stdin");
            let changes = files.changes();
            let writer = add_spool(&mut files, *format, name)?;
            let name = standard_input.insert(name.to_owned()).clone();
            // An own thread: it waits for input until the process ends.
            thread::spawn(move || copy_standard_input(writer, &name, &changes));
        } else if is_pipe(path) {
            let stem = path.file_stem().unwrap_or_default();
            let name = stem.to_string_lossy().into_owned();
            let changes = files.changes();
            let writer = add_spool(&mut files, *format, &name)?;
            let path = path.clone();
            thread::spawn(move || {
                let input = File::open(path);
                let copied = input.and_then(|mut input| {
                    copy(&mut input, &mut io::sink(), writer, &name, &changes)
                });
                warn_of(copied, &name);
            });
        } else {
            let added = files.add_path(*format, path);
            added.map_err(|source| invalid(*format, source))?;
        }
    }
    if args.name.is_some() && standard_input.is_none() {
        return Err(InputError::NameWithoutInput);
    }
    Ok(Inputs {
        files,
        standard_input,
    })
}

/// Whether the command line means standard input.
pub(crate) fn is_standard_input(path: &Path) -> bool {
    path == Path::new("-")
}

fn invalid(format: LogFormat, source: FollowError) -> InputError {
    InputError::File {
        option: format.option,
        source,
    }
}

/// Whether `path` can be read only once, as a named pipe.
fn is_pipe(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}

/// The end of a copy to write to.
struct SpoolWriter {
    file: File,
    is_complete: Arc<AtomicBool>,
}

/// Adds a copy of a pipe, because lines may be read again. Nothing but memory and the disk limits how far the pipe may
/// be ahead, so whoever writes to it does not wait. The copy has no name, so that nothing is left of it.
fn add_spool(
    files: &mut FollowedFiles,
    format: LogFormat,
    name: &str,
) -> Result<SpoolWriter, InputError> {
    let failed = |source| InputError::Spool {
        name: name.to_owned(),
        source,
    };
    let spool = tempfile::NamedTempFile::new().map_err(failed)?;
    // Opened twice, because the writer and the reader each need a position.
    let (writer, reader) = (spool.reopen().map_err(failed)?, spool.into_file());
    let is_complete = Arc::<AtomicBool>::default();
    let spool = Spool {
        file: reader,
        is_complete: is_complete.clone(),
    };
    let added = files.add_spool(format, name, spool, Timestamp::now());
    added.map_err(|source| invalid(format, source))?;
    Ok(SpoolWriter {
        file: writer,
        is_complete,
    })
}

/// Copies standard input, and passes it on to standard output, so that prompts and errors are seen.
fn copy_standard_input(writer: SpoolWriter, name: &str, changes: &Changes) {
    let mut input = io::stdin().lock();
    let copied = match io::stdin().is_terminal() {
        // The terminal has shown what was typed.
        true => copy(&mut input, &mut io::sink(), writer, name, changes),
        false => copy(&mut input, &mut io::stdout().lock(), writer, name, changes),
    };
    warn_of(copied, name);
}

/// Passes standard input on to standard output until it ends, or until the user stops it.
pub(crate) async fn pass_on(mut shutdown: ShutdownSignals) -> io::Result<()> {
    let (done, is_done) = oneshot::channel();
    // An own thread: it waits for input until the process ends. Another copy that has begun goes on.
    thread::spawn(move || {
        drop(io::copy(&mut io::stdin().lock(), &mut io::stdout().lock()));
        done.send(())
    });
    let is_stopped = async {
        // The command in front of the pipe got the first Ctrl-C, too.
        match shutdown.wait().await? {
            Signal::Interrupt => shutdown.wait().await,
            Signal::Terminate => Ok(Signal::Terminate),
        }
    };
    tokio::select! {
        _ = is_done => Ok(()),
        stopped = is_stopped => stopped.map(drop),
    }
}

fn warn_of(copied: io::Result<()>, log_stream: &str) {
    if let Err(error) = copied {
        warn!(log_stream, %error, "can't read or copy all of the log");
    }
}

/// Copies the input as it arrives, and adds a line end to the last line if it has none. Everything is also written to
/// `shown`, as long as somebody reads that.
fn copy(
    input: &mut dyn Read,
    shown: &mut dyn Write,
    writer: SpoolWriter,
    name: &str,
    changes: &Changes,
) -> io::Result<()> {
    let SpoolWriter {
        mut file,
        is_complete,
    } = writer;
    let tell = || changes.add([PathBuf::from(name)]);
    let copied = copy_bytes(input, shown, &mut file, tell);
    is_complete.store(true, Ordering::Release);
    tell();
    copied
}

fn copy_bytes(
    input: &mut dyn Read,
    shown: &mut dyn Write,
    output: &mut File,
    tell: impl Fn(),
) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    let mut last = b'\n';
    let mut is_shown = true;
    let mut kept = Ok(());
    loop {
        let length = match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let read = buffer.get(..length).unwrap_or_default();
        is_shown = is_shown && shown.write_all(read).and_then(|()| shown.flush()).is_ok();
        // Without the copy, for example because the disk is full, the rest is still shown.
        kept = kept.and_then(|()| output.write_all(read));
        last = read.last().copied().unwrap_or(last);
        tell();
    }
    kept?;
    if last != b'\n' {
        output.write_all(b"\n")?;
    }
    Ok(())
}
