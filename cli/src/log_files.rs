//! Finds the log files of a directory.

use std::io;
use std::path::{Path, PathBuf};

/// How deep below a directory logs are looked for.
const MAX_DEPTH: u32 = 8;

/// The log files in `directory` and in the directories below it, sorted by name, each with the name of its
/// log stream: its path below `directory` without the extension.
///
/// Hidden, packed and unfinished files are left out, and old parts of a rotated log (`x.log.1`).
///
/// # Errors
///
/// The error of reading `directory`. A directory below it that can't be read is skipped.
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
        // Links to directories are not followed: they may form a circle.
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

/// Whether a file of that name is a log: not hidden, packed, unfinished, or an old part of one.
fn is_log_name(path: &Path) -> bool {
    const NO_LOGS: [&str; 8] = ["gz", "bz2", "xz", "zst", "zip", "swp", "tmp", "old"];
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    let is_old_part = !extension.is_empty() && extension.bytes().all(|byte| byte.is_ascii_digit());
    !name.starts_with('.') && !is_old_part && !NO_LOGS.contains(&extension.as_ref())
}
