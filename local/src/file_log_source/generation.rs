//! What a file has held since it was made or last emptied, and where in it which lines are.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use shared::log_event::LogEvent;
use shared::log_file::{Encoding, FileStream, Lines, stable_hash};
use shared::model::Timestamp;

/// How much is read at a time, in bytes: as much as a page of CloudWatch Logs holds.
pub(super) const SEGMENT_BYTES: usize = 1024 * 1024;
/// The most lines of a segment: as many as a page of CloudWatch Logs holds.
const SEGMENT_LINES: usize = 10_000;

/// Lines that were read at one time. The next segment begins where this one ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    /// Where its first line begins.
    pub(super) start: u64,
    /// Where its last line ends.
    pub(super) end: u64,
    /// The time of its lines before the first that has its own.
    pub(super) time: Timestamp,
    /// The earliest time of a line.
    pub(super) earliest: Timestamp,
    /// The latest time of a line.
    pub(super) latest: Timestamp,
    /// A hash of its bytes, which tells whether a file still is what it was.
    pub(super) hash: u64,
}

impl Segment {
    /// Its length in bytes.
    fn length(&self) -> usize {
        usize::try_from(self.end - self.start).unwrap_or(SEGMENT_BYTES)
    }
}

/// What a file has held since it was made or last emptied.
#[derive(Debug)]
pub(super) struct Generation {
    /// When it began, in milliseconds since 1970; 0 for what was there first.
    pub(super) epoch_ms: u64,
    /// The file, open: its content can be read even after it was renamed.
    pub(super) file: File,
    /// Its lines, from its beginning on, without gaps.
    pub(super) segments: Vec<Segment>,
    encoding: Encoding,
}

impl Generation {
    pub(super) fn new(epoch_ms: u64, file: File) -> Self {
        Self {
            epoch_ms,
            file,
            segments: Vec::new(),
            encoding: Encoding::default(),
        }
    }

    /// Up to where lines were found.
    pub(super) fn end(&self) -> u64 {
        self.segments.last().map_or(0, |segment| segment.end)
    }

    /// Finds the lines that are new. Those before the first that has its own time are of `time`. A last
    /// line without an end is one only if `takes_rest`.
    ///
    /// Calls `found` with each new segment.
    pub(super) fn scan(
        &mut self,
        mut time: Timestamp,
        takes_rest: bool,
        mut found: impl FnMut(&Segment),
    ) -> io::Result<()> {
        let mut buffer = Vec::new();
        loop {
            let start = self.end();
            read_at(&mut self.file, start, SEGMENT_BYTES, &mut buffer)?;
            if start == 0 {
                self.encoding = Encoding::of(&buffer);
            }
            let is_end = buffer.len() < SEGMENT_BYTES;
            let found_before = self.segments.len();
            let mut bytes = buffer.as_slice();
            // What was read may be more lines than a segment takes.
            while let Some((segment, next_time)) =
                first_segment(bytes, self.encoding, self.end(), time, takes_rest && is_end)
            {
                bytes = bytes.get(segment.length()..).unwrap_or_default();
                time = next_time;
                found(&segment);
                self.segments.push(segment);
            }
            if is_end || self.segments.len() == found_before {
                return Ok(());
            }
        }
    }

    /// Takes over a segment that was found at another time, if the file still has it.
    pub(super) fn restore(&mut self, known: &Known) -> io::Result<bool> {
        let Ok(length) = usize::try_from(known.end.saturating_sub(known.start)) else {
            return Ok(false);
        };
        if known.start != self.end() || length > SEGMENT_BYTES {
            return Ok(false);
        }
        let mut buffer = Vec::new();
        read_at(&mut self.file, known.start, length, &mut buffer)?;
        if known.start == 0 {
            self.encoding = Encoding::of(&buffer);
        }
        let restored = first_segment(&buffer, self.encoding, known.start, known.time, true)
            .map(|(segment, _)| segment)
            .filter(|segment| segment.end == known.end && segment.hash == known.hash);
        self.segments.extend(restored);
        Ok(restored.is_some())
    }

    /// Adds the lines of a segment that are of a time from `start` to `end`.
    pub(super) fn read_events(
        &mut self,
        log_stream: &str,
        segment: Segment,
        (start, end): (Timestamp, Timestamp),
        events: &mut Vec<LogEvent>,
    ) -> io::Result<()> {
        let mut buffer = Vec::new();
        read_at(&mut self.file, segment.start, segment.length(), &mut buffer)?;
        let stream = FileStream {
            log_stream,
            epoch_ms: self.epoch_ms,
            encoding: self.encoding,
        };
        let lines = Lines::new(&buffer, self.encoding, segment.time, true);
        let lines = lines.filter(|line| (start..=end).contains(&line.time));
        events.extend(lines.filter_map(|line| {
            let offset = segment.start + u64::try_from(line.start).ok()?;
            stream.event(offset, &line)
        }));
        Ok(())
    }
}

/// A segment as it is remembered beyond the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) time: Timestamp,
    pub(super) hash: u64,
}

/// The lines that `bytes`, which begin at `offset` of a file, begin with, and the time of the line after
/// them, unless it has its own; `None` if there is no whole line.
fn first_segment(
    bytes: &[u8],
    encoding: Encoding,
    offset: u64,
    time: Timestamp,
    takes_rest: bool,
) -> Option<(Segment, Timestamp)> {
    let mut lines = Lines::new(bytes, encoding, time, takes_rest);
    let times = lines.by_ref().take(SEGMENT_LINES).map(|line| line.time);
    let (earliest, latest) = times.fold(None, |bounds, time| {
        let (earliest, latest) = bounds.unwrap_or((time, time));
        Some((time.min(earliest), time.max(latest)))
    })?;
    let end = offset + u64::try_from(lines.bytes_read()).ok()?;
    let found = Segment {
        start: offset,
        end,
        time,
        earliest,
        latest,
        hash: stable_hash(bytes.get(..lines.bytes_read())?),
    };
    Some((found, lines.time()))
}

/// Reads up to `length` bytes; less at the end of the file.
fn read_at(file: &mut File, offset: u64, length: usize, buffer: &mut Vec<u8>) -> io::Result<()> {
    buffer.clear();
    file.seek(SeekFrom::Start(offset))?;
    let length = u64::try_from(length).unwrap_or(u64::MAX);
    file.take(length).read_to_end(buffer).map(drop)
}
