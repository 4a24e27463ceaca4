//! Settings that may be the path of a file.

use std::fs::File;
use std::io::{self, Read};

/// The largest file that is read.
const MAX_FILE_BYTES: u64 = 256 * 1024;

/// Reads the text of the file at `path`.
///
/// # Errors
///
/// The file can't be read, is larger than 256 KiB, or is not UTF-8.
pub fn read_text(path: &str) -> io::Result<String> {
    let mut text = String::new();
    let file = File::open(path)?;
    let length = file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text)?;
    if length as u64 > MAX_FILE_BYTES {
        return Err(io::Error::other("the file is larger than 256 KiB"));
    }
    Ok(text)
}
