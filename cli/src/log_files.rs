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
    /// A compressed file.
    #[error("{0} is packed with gzip: unpack it first (`gunzip -k`), or send it by `zcat FILE |`")]
    Compressed(PathBuf),
    /// No more files can be opened.
    #[error(
        "can't read {0}: this process may not open more files; raise its limit (`ulimit -n 4096`)"
    )]
    TooManyOpen(PathBuf),
    /// Standard input was given more than once.
    #[error("standard input can be read only once, but `-` was given more than once")]
    StandardInputTwice,
}

impl LogFileError {
    /// The error of a file or directory that can't be read.
    pub fn unreadable(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match has_too_many_open(&source) {
            true => Self::TooManyOpen(path),
            false => Self::Unreadable { path, source },
        }
    }
}

/// Whether `error` says that this process, or the machine, has too many open files.
#[cfg(unix)]
pub fn has_too_many_open(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let of_process_or_machine = [Errno::MFILE, Errno::NFILE].map(|errno| errno.raw_os_error());
    error
        .raw_os_error()
        .is_some_and(|code| of_process_or_machine.contains(&code))
}

/// Whether `error` says that this process, or the machine, has too many open files.
#[cfg(not(unix))]
pub fn has_too_many_open(_error: &io::Error) -> bool {
    false
}

/// The greatest depth of nested directories that are searched.
const MAX_DEPTH: u32 = 8;

/// What a search for log files found.
#[derive(Debug, Default)]
pub struct FoundLogs {
    /// Each log file with the name of its log stream, in no particular order.
    pub files: Vec<(String, PathBuf)>,
    /// The directories that were searched.
    pub directories: Vec<PathBuf>,
    /// Named pipes, sockets and devices with the name of a log.
    pub no_files: Vec<PathBuf>,
}

/// Finds the log files in `directory` and below, sorted by path. Each has the name of its log
/// stream: its path relative to `directory`, without the extension.
///
/// Hidden, compressed and temporary files and old parts of a rotated log (`x.log.1`) are skipped.
///
/// # Errors
///
/// Returns the error of reading `directory`. A nested directory that can't be read is skipped,
/// unless too many files are open.
pub fn find_logs(directory: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut files = search(directory)?.files;
    files.sort_unstable();
    Ok(files)
}

/// Finds what [`find_logs`] finds, and the directories that it searched.
///
/// # Errors
///
/// See [`find_logs`].
pub fn search(directory: &Path) -> io::Result<FoundLogs> {
    let mut found = FoundLogs::default();
    add_logs(directory, "", MAX_DEPTH, &mut found)?;
    Ok(found)
}

/// The name of the log stream that [`find_logs`] gives to `file`, which is below `directory`;
/// `None` if it skips the file.
pub fn log_stream_below(directory: &Path, file: &Path) -> Option<String> {
    let relative = file.strip_prefix(directory).ok()?;
    let mut parents: Vec<_> = relative
        .parent()?
        .iter()
        .map(|it| it.to_string_lossy())
        .collect();
    let is_searched =
        parents.len() <= MAX_DEPTH as usize && parents.iter().all(|it| is_searched(it));
    if !is_searched || !is_log_name(file) || !file.is_file() {
        return None;
    }
    parents.push(file.file_stem()?.to_string_lossy());
    Some(parents.join("/"))
}

fn add_logs(directory: &Path, prefix: &str, depth: u32, found: &mut FoundLogs) -> io::Result<()> {
    let entries = directory.read_dir()?;
    found.directories.push(directory.to_owned());
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        let file_type = entry.file_type()?;
        // Links to directories are not followed, because they may form a cycle.
        if file_type.is_dir() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if depth == 0 || !is_searched(&name) {
                continue;
            }
            match add_logs(&path, &format!("{prefix}{name}/"), depth - 1, found) {
                Err(error) if has_too_many_open(&error) => return Err(error),
                _ => {}
            }
        } else if is_log_name(&path) && (file_type.is_file() || path.is_file()) {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            found.files.push((format!("{prefix}{stem}"), path));
        } else if is_log_name(&path) && !file_type.is_symlink() {
            found.no_files.push(path);
        }
    }
    Ok(())
}

/// Whether a nested directory of this name is searched.
fn is_searched(name: &str) -> bool {
    !name.starts_with('.') && name != "node_modules"
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
