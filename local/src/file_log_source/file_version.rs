//! One version of a file: its content since it was created or last emptied, and the times of its lines.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use shared::log_event::LogEvent;
use shared::log_file::{Encoding, FileStream, Lines, stable_hash};
use shared::model::Timestamp;

/// The number of bytes of one read: the size of a page of CloudWatch Logs.
pub(super) const SEGMENT_BYTES: usize = 1024 * 1024;
/// The maximum number of lines of a segment: the length of a page of CloudWatch Logs.
const SEGMENT_LINES: usize = 10_000;

/// Lines that were read at one time. The next segment begins where this segment ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    /// The offset of its first line, in bytes.
    pub(super) start: u64,
    /// The offset of the end of its last line, in bytes.
    pub(super) end: u64,
    /// The time of its lines before the first line with a time stamp.
    pub(super) time: Timestamp,
    /// The earliest time of its lines.
    pub(super) earliest: Timestamp,
    /// The latest time of its lines.
    pub(super) latest: Timestamp,
    /// A hash of its bytes. It shows whether the file was changed between two runs.
    pub(super) hash: u64,
}

impl Segment {
    /// The length in bytes.
    fn length(&self) -> usize {
        usize::try_from(self.end - self.start).unwrap_or(SEGMENT_BYTES)
    }
}

/// The content of a file since it was created or last emptied.
#[derive(Debug)]
pub(super) struct FileVersion {
    /// When the file was created or emptied, in milliseconds since 1970; 0 for the first version.
    pub(super) epoch_ms: u64,
    /// The open file. It can be read even after it was renamed.
    pub(super) file: File,
    /// The segments found so far, from the beginning of the file and without gaps.
    pub(super) segments: Vec<Segment>,
    encoding: Encoding,
}

impl FileVersion {
    pub(super) fn new(epoch_ms: u64, file: File) -> Self {
        Self {
            epoch_ms,
            file,
            segments: Vec::new(),
            encoding: Encoding::default(),
        }
    }

    /// The offset up to which lines were found.
    pub(super) fn end(&self) -> u64 {
        self.segments.last().map_or(0, |segment| segment.end)
    }

    /// Finds new lines and calls `found` with each new segment. `time` is the time of lines before the first line
    /// with a time stamp. A last line without a line end counts only if `takes_partial_line`.
    pub(super) fn scan(
        &mut self,
        mut time: Timestamp,
        takes_partial_line: bool,
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
            // The bytes may have more lines than a segment may have.
            while let Some((segment, next_time)) = first_segment(
                bytes,
                self.encoding,
                self.end(),
                time,
                takes_partial_line && is_end,
            ) {
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

    /// Adds a segment that an earlier run found. Returns `false` if the file no longer has it.
    pub(super) fn restore(&mut self, saved: &SavedSegment) -> io::Result<bool> {
        let Ok(length) = usize::try_from(saved.end.saturating_sub(saved.start)) else {
            return Ok(false);
        };
        if saved.start != self.end() || length > SEGMENT_BYTES {
            return Ok(false);
        }
        let mut buffer = Vec::new();
        read_at(&mut self.file, saved.start, length, &mut buffer)?;
        if saved.start == 0 {
            self.encoding = Encoding::of(&buffer);
        }
        let restored = first_segment(&buffer, self.encoding, saved.start, saved.time, true)
            .map(|(segment, _)| segment)
            .filter(|segment| segment.end == saved.end && segment.hash == saved.hash);
        self.segments.extend(restored);
        Ok(restored.is_some())
    }

    /// Adds the events of a segment whose times are from `start` to `end`.
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
            read_at: Timestamp::now(),
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

/// A segment as it is kept on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SavedSegment {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) time: Timestamp,
    pub(super) hash: u64,
}

/// The first segment of `bytes`, which begin at `offset` of the file, and the time of the next line if that line has
/// no time stamp. `None` if there is no whole line.
fn first_segment(
    bytes: &[u8],
    encoding: Encoding,
    offset: u64,
    time: Timestamp,
    takes_partial_line: bool,
) -> Option<(Segment, Timestamp)> {
    let mut lines = Lines::new(bytes, encoding, time, takes_partial_line);
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

/// Reads up to `length` bytes, fewer at the end of the file.
fn read_at(file: &mut File, offset: u64, length: usize, buffer: &mut Vec<u8>) -> io::Result<()> {
    buffer.clear();
    file.seek(SeekFrom::Start(offset))?;
    let length = u64::try_from(length).unwrap_or(u64::MAX);
    file.take(length).read_to_end(buffer).map(drop)
}
