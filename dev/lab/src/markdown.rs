//! Puts measurements into a page.

use std::fs;
use std::io;
use std::path::Path;

const BEGIN: &str = "<!-- measured -->\n";
const END: &str = "<!-- end of measured -->\n";

/// Replaces the text between two marker lines of a file.
///
/// # Errors
///
/// If the file has no such lines, or can't be written.
pub fn insert(file: &Path, text: &str) -> io::Result<()> {
    let present = fs::read_to_string(file)?;
    let parts = present
        .split_once(BEGIN)
        .and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = parts.ok_or_else(|| {
        io::Error::other(
            "the file lacks the lines `<!-- measured -->` and `<!-- end of measured -->`",
        )
    })?;
    fs::write(file, format!("{before}{BEGIN}\n{text}\n{END}{after}"))
}

/// A sentence with the machine and the date.
///
/// # Errors
///
/// If the system does not report them (Linux does).
pub fn machine() -> io::Result<String> {
    let info = fs::read_to_string("/proc/cpuinfo")?;
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown processor", |line| {
        line.trim_start_matches([' ', '\t', ':'])
    });
    let cores = std::thread::available_parallelism()?;
    let now = shared::model::Timestamp::now().to_string();
    let date = now.get(..10).unwrap_or(&now);
    Ok(format!(
        "Measured on {date}, {} {}, {cores} cores, {model}.\n",
        std::env::consts::OS,
        std::env::consts::ARCH
    ))
}
