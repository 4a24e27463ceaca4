//! When the lines of a file were first seen, kept beyond the process.
//!
//! A line without a time of its own is of the moment it was first seen. That moment must be the same after a
//! restart, or an old run would look like a new one. A journal is a text file: `begin <epoch>` where the
//! followed file began anew, then `lines <start> <end> <time> <hash>` for each segment. What can't be read
//! in it ends it: the lines after that count as new.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use shared::log_file::stable_hash;
use shared::model::Timestamp;

use super::generation::{Known, Segment};

/// The journal of one file.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
}

/// What a journal tells of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Remembered {
    /// When the file last began anew.
    pub(super) epoch_ms: u64,
    /// Its lines since then.
    pub(super) segments: Vec<Known>,
}

impl Journal {
    /// The journal in `directory` of the file that is the log stream `log_stream` of `log_group`.
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

    /// What it tells; nothing if there is none.
    pub(super) fn load(&self) -> io::Result<Remembered> {
        match fs::read(&self.path) {
            Ok(text) => Ok(parse(&String::from_utf8_lossy(&text))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Remembered::default()),
            Err(error) => Err(error),
        }
    }

    /// Begins anew.
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
        // One write, so that a journal is cut between lines at worst.
        file.write_all(format!("lines {start} {end} {time_ms} {hash:x}\n").as_bytes())
    }
}

fn parse(text: &str) -> Remembered {
    let mut remembered = Remembered::default();
    for line in text.split_inclusive('\n') {
        let Some(line) = line.strip_suffix('\n') else {
            break; // cut off: perhaps in the middle of a number
        };
        let fields: Vec<_> = line.split(' ').collect();
        match fields.as_slice() {
            ["begin", epoch_ms] => match epoch_ms.parse() {
                Ok(epoch_ms) => remembered.epoch_ms = epoch_ms,
                Err(_) => break,
            },
            ["lines", start, end, time_ms, hash] => match parse_known(start, end, time_ms, hash) {
                Some(known) => remembered.segments.push(known),
                None => break,
            },
            _ => break,
        }
    }
    remembered
}

fn parse_known(start: &str, end: &str, time_ms: &str, hash: &str) -> Option<Known> {
    Some(Known {
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
    fn what_is_written_is_remembered_and_rubbish_ends_it() {
        let directory = tempfile::tempdir().unwrap();
        let journal = Journal::new(&directory.path().join("new"), "/cdk", "a/../b");
        assert_eq!(journal.load().unwrap(), Remembered::default());
        journal.begin(7).unwrap();
        let time = Timestamp::from_millis(5);
        let segment = Segment {
            start: 0,
            end: 10,
            time,
            earliest: time,
            latest: time,
            hash: 255,
        };
        journal.add(&segment).unwrap();
        let expected = Remembered {
            epoch_ms: 7,
            segments: vec![Known {
                start: 0,
                end: 10,
                time,
                hash: 255,
            }],
        };
        assert_eq!(journal.load().unwrap(), expected);
        for rubbish in ["lines 10 2", "\u{0}\u{0}\n", "lines 10 20 5 zz\n"] {
            let text = format!("begin 7\nlines 0 10 5 ff\n{rubbish}");
            assert_eq!(parse(&text), expected, "{rubbish:?}");
        }
    }
}
