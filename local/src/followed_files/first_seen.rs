//! When the lines of a file were first seen, kept on disk.
//!
//! The time of a line without a time stamp is the time it was first seen. It must be the same after a restart, or an
//! old run would look like a new one. So each followed file has a text file with these lines:
//!
//! - `begin <epoch>` when the followed file was created or emptied,
//! - `lines <start> <end> <time> <hash>` for each segment since then.
//!
//! Reading stops at the first invalid line. The lines of the followed file after that count as new.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use shared::log_file::stable_hash;
use shared::model::Timestamp;

/// Lines that were read at one time. The next segment begins where this segment ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    /// The offset of its first line, in bytes.
    pub(super) start: u64,
    /// The offset of the end of its last line, in bytes.
    pub(super) end: u64,
    /// The time of its lines before the first line with a time stamp.
    pub(super) time: Timestamp,
    /// A hash of its bytes. It shows whether the file was changed between two runs.
    pub(super) hash: u64,
}

/// The file that says when the lines of one log stream were first seen.
#[derive(Debug)]
pub(super) struct FirstSeenFile {
    path: PathBuf,
}

/// The content of a [`FirstSeenFile`].
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct FirstSeen {
    /// When the followed file was created or last emptied.
    pub(super) epoch_ms: u64,
    /// The segments since then.
    pub(super) segments: Vec<Segment>,
}

impl FirstSeenFile {
    /// The file in `directory` for the log stream `log_stream` of `log_group`.
    pub(super) fn new(directory: &Path, log_group: &str, log_stream: &str) -> Self {
        let name = format!("{log_group}/{log_stream}");
        let is_plain = |char: &char| char.is_ascii_alphanumeric() || *char == '-';
        let readable: String = log_stream.chars().filter(is_plain).take(40).collect();
        Self {
            path: directory.join(format!(
                "{readable}-{:016x}.seen",
                stable_hash(name.as_bytes())
            )),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the file, and cuts off what is invalid at its end. A missing file is created.
    pub(super) fn load(&self) -> io::Result<FirstSeen> {
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let (first_seen, valid) = parse(&String::from_utf8_lossy(&text));
        match valid {
            0 => self.begin(first_seen.epoch_ms)?,
            // A crash while a line was written leaves a part of it.
            _ if valid < text.len() => {
                let file = OpenOptions::new().write(true).open(&self.path)?;
                file.set_len(u64::try_from(valid).unwrap_or(u64::MAX))?;
            }
            _ => {}
        }
        Ok(first_seen)
    }

    /// Empties the file: the followed file was created or emptied at `epoch_ms`.
    pub(super) fn begin(&self, epoch_ms: u64) -> io::Result<()> {
        if let Some(directory) = self.path.parent() {
            fs::create_dir_all(directory)?;
        }
        writeln!(File::create(&self.path)?, "begin {epoch_ms}")
    }

    /// Adds a segment.
    pub(super) fn add(&self, segment: &Segment) -> io::Result<()> {
        let mut file = OpenOptions::new().append(true).open(&self.path)?;
        let time_ms = segment.time.as_millis();
        let Segment {
            start, end, hash, ..
        } = segment;
        // One write, so that a crash does not leave half a line.
        file.write_all(format!("lines {start} {end} {time_ms} {hash:x}\n").as_bytes())
    }
}

/// The valid lines at the beginning of `text`, and their length in bytes.
fn parse(text: &str) -> (FirstSeen, usize) {
    let mut first_seen = FirstSeen::default();
    let mut valid = 0;
    for line in text.split_inclusive('\n') {
        let length = line.len();
        let Some(line) = line.strip_suffix('\n') else {
            break; // incomplete: even a number may be cut off
        };
        let fields: Vec<_> = line.split(' ').collect();
        match fields.as_slice() {
            ["begin", epoch_ms] => match epoch_ms.parse() {
                Ok(epoch_ms) => first_seen.epoch_ms = epoch_ms,
                Err(_) => break,
            },
            ["lines", start, end, time_ms, hash] if valid > 0 => {
                match parse_segment(start, end, time_ms, hash) {
                    Some(segment) => first_seen.segments.push(segment),
                    None => break,
                }
            }
            _ => break,
        }
        valid += length;
    }
    (first_seen, valid)
}

fn parse_segment(start: &str, end: &str, time_ms: &str, hash: &str) -> Option<Segment> {
    Some(Segment {
        start: start.parse().ok()?,
        end: end.parse().ok()?,
        time: Timestamp::from_millis(time_ms.parse().ok()?),
        hash: u64::from_str_radix(hash, 16).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_read_back_up_to_the_first_invalid_line() {
        let directory = tempfile::tempdir().unwrap();
        let file = FirstSeenFile::new(&directory.path().join("new"), "/cdk", "a/../b");
        assert_eq!(file.load().unwrap(), FirstSeen::default());
        file.begin(7).unwrap();
        let time = Timestamp::from_millis(5);
        let segment = Segment {
            start: 0,
            end: 10,
            time,
            hash: 255,
        };
        file.add(&segment).unwrap();
        let expected = FirstSeen {
            epoch_ms: 7,
            segments: vec![segment],
        };
        assert_eq!(file.load().unwrap(), expected);
        for invalid in ["lines 10 2", "\u{0}\u{0}\n", "lines 10 20 5 zz\n"] {
            let text = format!("begin 7\nlines 0 10 5 ff\n{invalid}");
            fs::write(&file.path, &text).unwrap();
            assert_eq!(file.load().unwrap(), expected, "{invalid:?}");
            let kept = fs::read_to_string(&file.path).unwrap();
            assert_eq!(kept, "begin 7\nlines 0 10 5 ff\n");
        }
    }
}
