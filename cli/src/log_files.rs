//! The log files of a command line: finding them, and what can be wrong with them.

use std::io;
use std::path::{Path, PathBuf};

/// Why the logs on a command line can't be read. The messages are for the user of the command.
#[derive(Debug, thiserror::Error)]
pub enum LogFileError {
    /// A file or directory can't be read.
    #[error("can't read {path}")]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// A path without a file name, such as `..`.
    #[error("\"{0}\" is not the name of a file")]
    Nameless(PathBuf),
    /// Two files with the same log stream.
    #[error(
        "{first} and {second} would both be the log stream \"{log_stream}\": a log stream has the \
         name of its file without the extension; rename one of the files"
    )]
    SameStream {
        /// The name of the log stream.
        log_stream: String,
        /// The first file.
        first: PathBuf,
        /// The second file.
        second: PathBuf,
    },
    /// Standard input was given more than once.
    #[error("standard input can be read only once, but `-` was given more than once")]
    StandardInputTwice,
}

impl LogFileError {
    /// The error of a file or directory that can't be read.
    pub fn unreadable(path: &Path, source: io::Error) -> Self {
        Self::Unreadable {
            path: path.to_owned(),
            source,
        }
    }
}

/// The greatest depth of nested directories that are searched.
const MAX_DEPTH: u32 = 8;

/// Finds the log files in `directory` and below, sorted by path. Each has the name of its log
/// stream: its path relative to `directory`, without the extension.
///
/// Hidden, compressed and temporary files and old parts of a rotated log (`x.log.1`) are skipped.
///
/// # Errors
///
/// Returns the error of reading `directory`. A nested directory that can't be read is skipped.
pub fn find_logs(directory: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut files = Vec::new();
    add_logs(directory, "", MAX_DEPTH, &mut files)?;
    files.sort_unstable();
    Ok(files)
}

fn add_logs(
    directory: &Path,
    prefix: &str,
    depth: u32,
    files: &mut Vec<(String, PathBuf)>,
) -> io::Result<()> {
    for entry in directory.read_dir()? {
        let entry = entry?;
        let path = entry.path();
        // Links to directories are not followed, because they may form a cycle.
        if entry.file_type()?.is_dir() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let is_left_out = name.starts_with('.') || name == "node_modules" || depth == 0;
            if !is_left_out {
                drop(add_logs(
                    &path,
                    &format!("{prefix}{name}/"),
                    depth - 1,
                    files,
                ));
            }
        } else if is_log_name(&path) && path.is_file() {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            files.push((format!("{prefix}{stem}"), path));
        }
    }
    Ok(())
}

/// Whether the name is that of a log: not hidden, compressed or temporary, and not an old part of a
/// log.
fn is_log_name(path: &Path) -> bool {
    const NO_LOGS: [&str; 8] = ["gz", "bz2", "xz", "zst", "zip", "swp", "tmp", "old"];
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    let is_old_part = !extension.is_empty() && extension.bytes().all(|byte| byte.is_ascii_digit());
    !name.starts_with('.') && !is_old_part && !NO_LOGS.contains(&extension.as_ref())
}
