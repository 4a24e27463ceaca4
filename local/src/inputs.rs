//! The logs that the command line names.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::thread;

use cli::args::LogArgs;
use cli::log_files::LogFileError;
use progress_collector::LogGroup;
use shared::log_parser::LogFormat;
use shared::model::Timestamp;
use tempfile::NamedTempFile;
use tracing::warn;

use crate::file_log_source::{FileLogError, FileLogSource};

/// The log groups of the files: one for each log format.
pub(crate) fn log_groups() -> Vec<LogGroup> {
    let groups = LogFormat::OF_FILES.map(|format| LogGroup {
        name: format.file_log_group.to_owned(),
        format,
    });
    groups.into()
}

/// Why a log can't be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InputError {
    /// A file or directory can't be followed.
    #[error("invalid --{option}")]
    File {
        option: &'static str,
        #[source]
        source: FileLogError,
    },
    #[error(transparent)]
    StandardInput(LogFileError),
    /// The temporary file of a pipe can't be created.
    #[error("can't create a temporary file for {name}")]
    Spool {
        name: String,
        #[source]
        source: io::Error,
    },
}

/// The log source of the files that the command line names. `first_seen` is the directory that keeps when lines
/// were first seen.
pub(crate) fn open(
    args: &LogArgs,
    first_seen: Option<PathBuf>,
) -> Result<FileLogSource, InputError> {
    let source = FileLogSource::new(first_seen);
    let mut is_standard_input_taken = false;
    for (format, path) in &args.logs {
        let is_standard_input = path == Path::new("-");
        if is_standard_input && std::mem::replace(&mut is_standard_input_taken, true) {
            return Err(InputError::StandardInput(LogFileError::StandardInputTwice));
        }
        if is_standard_input || is_pipe(path) {
            add_spooled(&source, *format, path)?;
        } else {
            let added = source.add_path(format.file_log_group, path);
            added.map_err(|source| invalid(*format, source))?;
        }
    }
    Ok(source)
}

fn invalid(format: LogFormat, source: FileLogError) -> InputError {
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

/// Adds standard input or a pipe. A thread copies it to a temporary file, because the source reads lines again.
fn add_spooled(source: &FileLogSource, format: LogFormat, path: &Path) -> Result<(), InputError> {
    let is_standard_input = path == Path::new("-");
    let name = if is_standard_input {
        "stdin".to_owned()
    } else {
        let stem = path.file_stem().unwrap_or_default();
        stem.to_string_lossy().into_owned()
    };
    let failed = |source| InputError::Spool {
        name: name.clone(),
        source,
    };
    let spool = NamedTempFile::new().map_err(failed)?;
    // Opened twice, because the writer and the reader each need a position. The file has no name after this.
    let (mut writer, reader) = (spool.reopen().map_err(failed)?, spool.into_file());
    let added = source.add_file(format.file_log_group, &name, reader, Timestamp::now());
    added.map_err(|source| invalid(format, source))?;
    let path = path.to_owned();
    let mut copy = move || -> io::Result<()> {
        if is_standard_input {
            copy_lines(&mut io::stdin().lock(), &mut writer)
        } else {
            copy_lines(&mut File::open(&path)?, &mut writer)
        }
    };
    // An own thread: it waits for input until the process ends.
    thread::spawn(move || {
        if let Err(error) = copy() {
            warn!(log_stream = name, %error, "can't read or copy the log");
        }
    });
    Ok(())
}

/// Copies the input as it arrives, and adds a line end to the last line if it has none.
fn copy_lines(input: &mut dyn Read, output: &mut File) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    let mut last = b'\n';
    loop {
        let length = match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let read = buffer.get(..length).unwrap_or_default();
        output.write_all(read)?;
        last = read.last().copied().unwrap_or(last);
    }
    if last != b'\n' {
        output.write_all(b"\n")?;
    }
    output.flush()
}
