//! When the lines of a file were first seen, kept on disk.
//!
//! The time of a line without a time stamp is the time it was first seen. It must be the same after a restart, or an
//! old run would look like a new one. So each followed file has a text file with these lines:
//!
//! - `begin <epoch>` when the followed file was created or emptied, `continue <epoch>` if it was renamed and goes on in
//!   a new file,
//! - `lines <start> <end> <time> <hash>` for each segment since then,
//! - `unfinished <start> <time>` when a line was read that had no line end yet.
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
    /// The time of the last reading of its first line before that had its end, if there was one.
    pub(super) unfinished: Option<Timestamp>,
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
    /// Whether the file goes on with what was in the file before.
    pub(super) continues: bool,
    /// The segments since then.
    pub(super) segments: Vec<Segment>,
    /// Where the line after them begins, and the time of its last reading, if it was read without its end.
    pub(super) unfinished: Option<(u64, Timestamp)>,
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
            0 => self.begin(first_seen.epoch_ms, false)?,
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
    pub(super) fn begin(&self, epoch_ms: u64, continues: bool) -> io::Result<()> {
        if let Some(directory) = self.path.parent() {
            fs::create_dir_all(directory)?;
        }
        let how = if continues { "continue" } else { "begin" };
        writeln!(File::create(&self.path)?, "{how} {epoch_ms}")
    }

    /// Adds a segment.
    pub(super) fn add(&self, segment: &Segment) -> io::Result<()> {
        let time_ms = segment.time.as_millis();
        let Segment {
            start, end, hash, ..
        } = segment;
        self.append(&format!("lines {start} {end} {time_ms} {hash:x}\n"))
    }

    /// Adds a reading of a line without its end.
    pub(super) fn add_unfinished(&self, start: u64, time: Timestamp) -> io::Result<()> {
        self.append(&format!("unfinished {start} {}\n", time.as_millis()))
    }

    fn append(&self, line: &str) -> io::Result<()> {
        let mut file = OpenOptions::new().append(true).open(&self.path)?;
        // One write, so that a crash does not leave half a line.
        file.write_all(line.as_bytes())
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
            [how @ ("begin" | "continue"), epoch_ms] => match epoch_ms.parse() {
                Ok(epoch_ms) => {
                    first_seen.epoch_ms = epoch_ms;
                    first_seen.continues = *how == "continue";
                }
                Err(_) => break,
            },
            ["lines", start, end, time_ms, hash] if valid > 0 => {
                match parse_segment(start, end, time_ms, hash) {
                    Some(mut segment) => {
                        let unfinished = first_seen.unfinished.take();
                        let of_first = unfinished.filter(|(start, _)| *start == segment.start);
                        segment.unfinished = of_first.map(|(_, time)| time);
                        first_seen.segments.push(segment);
                    }
                    None => break,
                }
            }
            ["unfinished", start, time_ms] if valid > 0 => match (start.parse(), time_ms.parse()) {
                (Ok(start), Ok(time_ms)) => {
                    first_seen.unfinished = Some((start, Timestamp::from_millis(time_ms)));
                }
                _ => break,
            },
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
        unfinished: None,
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
        file.begin(7, true).unwrap();
        let time = Timestamp::from_millis(5);
        let segment = Segment {
            start: 0,
            end: 10,
            time,
            hash: 255,
            unfinished: Some(time),
        };
        file.add_unfinished(0, time).unwrap();
        file.add(&segment).unwrap();
        file.add_unfinished(10, time).unwrap();
        let expected = FirstSeen {
            epoch_ms: 7,
            continues: true,
            segments: vec![segment],
            unfinished: Some((10, time)),
        };
        assert_eq!(file.load().unwrap(), expected);
        let valid = fs::read_to_string(&file.path).unwrap();
        for invalid in [
            "lines 10 2",
            "\u{0}\u{0}\n",
            "lines 10 20 5 zz\n",
            "unfinished 10 x\n",
        ] {
            fs::write(&file.path, format!("{valid}{invalid}")).unwrap();
            assert_eq!(file.load().unwrap(), expected, "{invalid:?}");
            assert_eq!(fs::read_to_string(&file.path).unwrap(), valid);
        }
    }
}
