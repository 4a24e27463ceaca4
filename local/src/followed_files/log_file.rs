//! One followed file: what was read of it, and whether it was renamed, emptied or overwritten since then.
//!
//! The file is open only while it is read, so that the number of followed files has no limit.

use std::collections::VecDeque;
use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use cli::log_files::LogFileError;
use shared::fold::LineKey;
use shared::log_event::LogEvent;
use shared::log_file::{Encoding, FileStream, Lines, continued_hash, stable_hash};
use shared::model::Timestamp;

use super::first_seen::{FirstSeenFile, Segment};

/// The number of bytes of one read: several times the longest line.
const READ_BYTES: usize = 1024 * 1024;
/// The maximum number of lines of a segment.
const SEGMENT_LINES: usize = 10_000;
/// The number of bytes at the beginning of a file that tell whether it was overwritten.
const HEAD_BYTES: usize = 16 * 1024;
/// A last line without a line end counts once it has not grown for this long.
const QUIET: Duration = Duration::from_secs(3);
/// So much later than the line before it is such a line, at least. Each further reading of it is a millisecond earlier,
/// because of two readings of a line the earlier one counts.
const AFTER_LINE_BEFORE: Duration = Duration::from_secs(1);
/// The number of bytes before the next line that tell whether the file was overwritten.
const TAIL_BYTES: usize = 1024;

/// Why nothing was read of a file.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error(transparent)]
    LogFile(#[from] LogFileError),
    /// Without it, the same lines would be other lines after a restart. So they wait.
    #[error(
        "can't write {journal}, which keeps when the lines of {log} were first seen: free space or check its rights; \
         new lines wait until then"
    )]
    Journal {
        journal: PathBuf,
        log: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// One line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileLine {
    pub(crate) event: LogEvent,
    /// Whether the log begins anew with it: its file was emptied, overwritten or replaced.
    pub(crate) is_restart: bool,
    /// Whether it was read before, when it was shorter.
    pub(crate) is_again: bool,
}

/// What was read of a file at one time.
#[derive(Debug, Default)]
pub(super) struct Portion {
    pub(super) lines: Vec<FileLine>,
    /// The number of bytes read.
    pub(super) bytes: usize,
    /// Whether there is more to read now.
    pub(super) has_more: bool,
    /// Whether nothing will ever follow.
    pub(super) is_end: bool,
}

/// A copy of what arrives in a pipe. It is open all the time, because it has no name.
#[derive(Debug)]
pub(crate) struct Spool {
    pub(crate) file: File,
    /// Whether nothing more is written to it.
    pub(crate) is_complete: Arc<AtomicBool>,
}

#[derive(Debug)]
enum Input {
    Path(PathBuf),
    Spool(Spool),
}

/// One followed file.
#[derive(Debug)]
pub(super) struct LogFile {
    log_stream: String,
    input: Input,
    first_seen: Option<FirstSeenFile>,
    /// `None` until the file exists.
    version: Option<Version>,
    /// How the file was when all of it had been read; `None` if there was no file.
    known: Option<Stamp>,
    is_first_read: bool,
}

/// The content of a file since it was created, emptied or overwritten, as far as it was read.
#[derive(Debug)]
struct Version {
    /// When that was, in milliseconds since 1970; 0 for the first version.
    epoch_ms: u64,
    /// Whether the next line begins the log anew.
    is_restart: bool,
    id: FileId,
    encoding: Encoding,
    /// The offset of the next line, in bytes.
    end: u64,
    /// The time of the next line if it has no time stamp, and the line before it was just read.
    time: Option<Timestamp>,
    /// The time of the last line. Lines without their end come after it.
    last_time: Timestamp,
    /// What follows the last line, if that is no whole line.
    rest: Option<Rest>,
    /// The time of the last reading of the next line, if it was read without its end.
    unfinished: Option<Timestamp>,
    /// What an earlier run has read and this one has not yet.
    saved: VecDeque<Segment>,
    /// The length and the hash of what was read of the first [`HEAD_BYTES`].
    head: (usize, u64),
    /// The length and the hash of the last bytes before `end`.
    tail: (usize, u64),
}

/// The beginning of a line whose end is not written yet.
#[derive(Debug, Clone, Copy)]
struct Rest {
    length: usize,
    /// When it was seen first with this length.
    since: Timestamp,
    /// Whether it was read as a line.
    is_read: bool,
}

impl Rest {
    /// Whether it has not grown for some time.
    fn is_quiet(&self, now: Timestamp) -> bool {
        now >= self.since.after(QUIET)
    }
}

/// Identifies a file, whatever its name. On systems that do not tell, all files are the same, and only an emptied or
/// overwritten one is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileId(u64, u64);

impl FileId {
    pub(super) fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            Self(metadata.dev(), metadata.ino())
        }
        #[cfg(not(unix))]
        {
            let _ = metadata;
            Self(0, 0)
        }
    }
}

/// What changes when a file does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    id: FileId,
    length: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            id: FileId::of(metadata),
            length: metadata.len(),
            modified: metadata.modified().ok(),
        }
    }
}

impl LogFile {
    /// The file at `path`, which need not exist yet.
    pub(super) fn at_path(
        log_stream: String,
        path: PathBuf,
        first_seen: Option<FirstSeenFile>,
    ) -> Self {
        Self {
            log_stream,
            input: Input::Path(path),
            first_seen,
            version: None,
            known: None,
            is_first_read: true,
        }
    }

    /// The copy of a pipe that was opened at `since`.
    pub(super) fn of_spool(log_stream: String, spool: Spool, since: Timestamp) -> Self {
        let epoch_ms = u64::try_from(since.as_millis()).unwrap_or(0);
        Self {
            log_stream,
            input: Input::Spool(spool),
            first_seen: None,
            version: Some(Version::new(epoch_ms, FileId(0, 0), false)),
            known: None,
            is_first_read: false,
        }
    }

    /// The name of its log stream.
    pub(super) fn log_stream(&self) -> &str {
        &self.log_stream
    }

    /// The path of the file; the name of the log stream for a pipe.
    pub(super) fn path(&self) -> &Path {
        match &self.input {
            Input::Path(path) => path,
            Input::Spool(_) => Path::new(&self.log_stream),
        }
    }

    pub(super) fn is_spool(&self) -> bool {
        matches!(self.input, Input::Spool(_))
    }

    /// Whether the file may have changed after all of it was read, or its last line waits to be read without its end. It
    /// is not opened.
    pub(super) fn may_have_changed(&self) -> bool {
        let rest = self.version.as_ref().and_then(|version| version.rest);
        if rest.is_some_and(|rest| !rest.is_read) {
            return true;
        }
        let Input::Path(path) = &self.input else {
            return false; // who writes to a copy says so
        };
        path.metadata().ok().as_ref().map(Stamp::of) != self.known
    }

    /// Reads the next lines at the time `now`. A last line without a line end waits for its end, but not for long: then it
    /// is read as it is, and again whenever it has grown.
    pub(super) fn read(&mut self, now: Timestamp) -> Result<Portion, ReadError> {
        match &self.input {
            Input::Path(path) => {
                let path = path.clone();
                self.read_path(&path, now)
            }
            Input::Spool(spool) => {
                // Asked first: what is written later is read later.
                let is_complete = spool.is_complete.load(Ordering::Acquire);
                let file = spool.file.try_clone();
                let file = file.map_err(|source| self.unreadable(source))?;
                let portion = self.read_lines(&file, (now, now), false)?;
                Ok(Portion {
                    is_end: is_complete && !portion.has_more,
                    ..portion
                })
            }
        }
    }

    fn read_path(&mut self, path: &Path, now: Timestamp) -> Result<Portion, ReadError> {
        let file = match File::open(path) {
            Ok(file) => file,
            // Not created yet, or renamed and not created again.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.is_first_read = false;
                self.known = None;
                return Ok(self.read_renamed(path, now, false)?.unwrap_or_default());
            }
            Err(error) => return Err(self.unreadable(error)),
        };
        let metadata = file.metadata().map_err(|error| self.unreadable(error))?;
        let id = FileId::of(&metadata);
        let mut seen_at = now;
        match &self.version {
            None => {
                // The lines that exist when the process starts were written earlier.
                let modified = metadata.modified().map(chrono::DateTime::from);
                if let (true, Ok(modified)) = (self.is_first_read, modified) {
                    seen_at = Timestamp::from(modified).min(now);
                }
                self.begin_or_restore(id)?;
            }
            Some(version) if version.id != id => {
                let renamed = self.read_renamed(path, now, true)?;
                // One that has another name now was put aside because it was long: the run goes on.
                let continues = renamed.is_some();
                if let Some(rest) = renamed
                    && rest.bytes > 0
                {
                    return Ok(Portion {
                        has_more: true,
                        ..rest
                    });
                }
                self.begin(id, now, continues)?;
            }
            Some(version) => {
                let is_shorter = metadata.len() < version.end;
                let is_unchanged = version.is_unchanged(&file);
                if is_shorter || !is_unchanged.map_err(|error| self.unreadable(error))? {
                    self.begin(id, now, false)?;
                }
            }
        }
        self.is_first_read = false;
        let portion = self.read_lines(&file, (seen_at, now), false)?;
        self.known = (!portion.has_more).then(|| Stamp::of(&metadata));
        Ok(portion)
    }

    /// Reads on in the file that had this path and has another name now, if it is still in the same directory.
    fn read_renamed(
        &mut self,
        path: &Path,
        now: Timestamp,
        takes_partial_line: bool,
    ) -> Result<Option<Portion>, ReadError> {
        let id = self.version.as_ref().map(|version| version.id);
        let Some(file) = id.and_then(|id| find_by_id(path, id)) else {
            return Ok(None);
        };
        self.read_lines(&file, (now, now), takes_partial_line)
            .map(Some)
    }

    /// Begins a new version of the file.
    fn begin(&mut self, id: FileId, now: Timestamp, continues: bool) -> Result<(), ReadError> {
        let earlier = self.version.as_ref().map(|version| version.epoch_ms);
        let epoch_ms = u64::try_from(now.as_millis()).unwrap_or(0);
        let epoch_ms = epoch_ms.max(earlier.map_or(0, |earlier| earlier + 1));
        if let Some(first_seen) = &self.first_seen {
            let begun = first_seen.begin(epoch_ms, continues);
            begun.map_err(|error| self.unwritable(first_seen, error))?;
        }
        self.version = Some(Version::new(epoch_ms, id, continues));
        Ok(())
    }

    /// Begins the first version of the file, with what an earlier run has read of it.
    fn begin_or_restore(&mut self, id: FileId) -> Result<(), ReadError> {
        let mut version = Version::new(0, id, true);
        if let Some(first_seen) = &self.first_seen {
            let saved = first_seen.load();
            let saved = saved.map_err(|error| self.unwritable(first_seen, error))?;
            version.epoch_ms = saved.epoch_ms;
            version.is_restart = saved.epoch_ms > 0 && !saved.continues;
            version.unfinished = saved.unfinished.map(|(_, time)| time);
            version.saved = saved.segments.into();
        }
        self.version = Some(version);
        Ok(())
    }

    /// Reads the next lines of the open file at the time `now`. `seen_at` is the time of lines before the first time stamp.
    fn read_lines(
        &mut self,
        file: &File,
        (seen_at, now): (Timestamp, Timestamp),
        takes_partial_line: bool,
    ) -> Result<Portion, ReadError> {
        let Some(version) = &mut self.version else {
            return Ok(Portion::default());
        };
        if !version.saved.is_empty() {
            let again = version.read_again(file, &self.log_stream);
            let again = again.map_err(|error| self.unreadable(error))?;
            return match again {
                Some(portion) => Ok(portion),
                None => {
                    // The file was replaced between the runs.
                    let id = self.version.as_ref().map(|version| version.id);
                    self.begin(id.unwrap_or(FileId(0, 0)), Timestamp::now(), false)?;
                    Ok(Portion {
                        has_more: true,
                        ..Portion::default()
                    })
                }
            };
        }
        let found = version.find_lines(file, &self.log_stream, seen_at, takes_partial_line);
        let Some(found) = found.map_err(|error| self.unreadable(error))? else {
            return self.read_unfinished(file, now);
        };
        if let Some(first_seen) = &self.first_seen {
            let added = first_seen.add(&found.segment);
            added.map_err(|error| self.unwritable(first_seen, error))?;
        }
        if let Some(version) = &mut self.version {
            version.accept(&found);
        }
        let bytes = found.bytes.len();
        if let Some(version) = &mut self.version {
            version.note_rest(found.rest, now);
        }
        Ok(Portion {
            lines: found.lines,
            bytes,
            has_more: found.next_time.is_some(),
            is_end: false,
        })
    }

    /// Reads the last line, which has no line end, if it has not grown for some time.
    fn read_unfinished(&mut self, file: &File, now: Timestamp) -> Result<Portion, ReadError> {
        let found = match &mut self.version {
            Some(version) => version.find_unfinished(file, &self.log_stream, now),
            None => Ok(None),
        };
        let found = found.map_err(|error| self.unreadable(error))?;
        if let (Some(first_seen), Some(version), Some((_, time))) =
            (&self.first_seen, &self.version, &found)
        {
            let added = first_seen.add_unfinished(version.end, *time);
            added.map_err(|error| self.unwritable(first_seen, error))?;
        }
        let Some(version) = &mut self.version else {
            return Ok(Portion::default());
        };
        if let Some(rest) = version.rest.as_mut().filter(|rest| rest.is_quiet(now)) {
            rest.is_read = true;
        }
        let Some((line, time)) = found else {
            return Ok(Portion::default());
        };
        version.unfinished = Some(time);
        Ok(Portion {
            bytes: line.event.message.len(),
            lines: vec![line],
            ..Portion::default()
        })
    }

    fn unreadable(&self, source: io::Error) -> ReadError {
        LogFileError::unreadable(self.path(), source).into()
    }

    fn unwritable(&self, first_seen: &FirstSeenFile, source: io::Error) -> ReadError {
        ReadError::Journal {
            journal: first_seen.path().to_owned(),
            log: self.path().to_owned(),
            source,
        }
    }
}

/// Lines that are not yet counted as read.
struct FoundLines {
    segment: Segment,
    bytes: Vec<u8>,
    lines: Vec<FileLine>,
    /// The number of bytes after them.
    rest: usize,
    /// The time of the next line, if it has no time stamp; `None` if there is no next line now.
    next_time: Option<Timestamp>,
}

impl Version {
    fn new(epoch_ms: u64, id: FileId, continues: bool) -> Self {
        Self {
            epoch_ms,
            is_restart: !continues,
            id,
            encoding: Encoding::default(),
            end: 0,
            time: None,
            last_time: Timestamp::default(),
            rest: None,
            unfinished: None,
            saved: VecDeque::new(),
            head: (0, stable_hash(b"")),
            tail: (0, stable_hash(b"")),
        }
    }

    /// Whether the file still has the bytes that were read: those at its beginning, and the last ones. If it has, it
    /// was at most extended.
    fn is_unchanged(&self, file: &File) -> io::Result<bool> {
        let (head_length, tail_length) = (self.head.0, self.tail.0);
        let mut buffer = Vec::new();
        read_at(file, 0, head_length, &mut buffer)?;
        if (buffer.len(), stable_hash(&buffer)) != self.head {
            return Ok(false);
        }
        let tail_start = self.end - u64::try_from(tail_length).unwrap_or(self.end);
        read_at(file, tail_start, tail_length, &mut buffer)?;
        Ok((buffer.len(), stable_hash(&buffer)) == self.tail)
    }

    /// Reads lines again that an earlier run has read. `None` if the file no longer has them.
    fn read_again(&mut self, file: &File, log_stream: &str) -> io::Result<Option<Portion>> {
        let mut portion = Portion {
            has_more: true,
            ..Portion::default()
        };
        while portion.bytes < READ_BYTES
            && let Some(saved) = self.saved.pop_front()
        {
            let length = usize::try_from(saved.end.saturating_sub(saved.start));
            let Ok(length @ ..=READ_BYTES) = length else {
                return Ok(None);
            };
            let mut bytes = Vec::new();
            read_at(file, saved.start, length, &mut bytes)?;
            let unfinished = self.unfinished.take();
            self.unfinished = saved.unfinished;
            let found = self.lines_of(bytes, log_stream, saved.time, true);
            self.unfinished = unfinished;
            let Some(found) = found.filter(|found| found.segment == saved) else {
                return Ok(None);
            };
            let unfinished = self.unfinished;
            self.accept(&found);
            (self.time, self.unfinished) = (None, unfinished);
            portion.bytes += length;
            portion.lines.extend(found.lines);
        }
        Ok(Some(portion))
    }

    /// Finds the next lines; `None` if there is no whole one.
    fn find_lines(
        &mut self,
        file: &File,
        log_stream: &str,
        seen_at: Timestamp,
        takes_partial_line: bool,
    ) -> io::Result<Option<FoundLines>> {
        let mut bytes = Vec::new();
        read_at(file, self.end, READ_BYTES, &mut bytes)?;
        let time = self.time.unwrap_or(seen_at);
        let is_whole = bytes.len() < READ_BYTES;
        Ok(self.lines_of(bytes, log_stream, time, takes_partial_line && is_whole))
    }

    /// Notes how much follows the last line.
    fn note_rest(&mut self, length: usize, now: Timestamp) {
        let known = self.rest.filter(|rest| rest.length == length);
        let new = || Rest {
            length,
            since: now,
            is_read: false,
        };
        self.rest = (length > 0).then(|| known.unwrap_or_else(new));
    }

    /// The last line as it is, without its end, and the time of this reading; `None` if it may be about to grow or has
    /// been read.
    fn find_unfinished(
        &mut self,
        file: &File,
        log_stream: &str,
        now: Timestamp,
    ) -> io::Result<Option<(FileLine, Timestamp)>> {
        let mut bytes = Vec::new();
        read_at(file, self.end, READ_BYTES, &mut bytes)?;
        self.note_rest(bytes.len(), now);
        let is_due = |rest: &Rest| !rest.is_read && rest.is_quiet(now);
        if self.rest.filter(is_due).is_none() {
            return Ok(None);
        }
        let written = file.metadata()?.modified().map(chrono::DateTime::from);
        let written = written.map_or(now, Timestamp::from).min(now);
        let time = match self.unfinished {
            Some(before) => before.before(Duration::from_millis(1)),
            None => written.max(self.last_time.after(AFTER_LINE_BEFORE)),
        };
        if time <= self.last_time {
            return Ok(None); // it has grown a thousand times
        }
        let found = self.lines_of(bytes, log_stream, time, true);
        let line = found.and_then(|found| found.lines.into_iter().next());
        Ok(line.map(|mut line| {
            // A time that is bounded: that of its end replaces it.
            (line.event.timestamp, line.event.ingested_at) = (Timestamp::LATEST, time);
            (line, time)
        }))
    }

    /// The lines of `bytes`, which follow what was read; `None` if there is no whole one.
    fn lines_of(
        &mut self,
        mut bytes: Vec<u8>,
        log_stream: &str,
        time: Timestamp,
        takes_partial_line: bool,
    ) -> Option<FoundLines> {
        if self.end == 0 {
            self.encoding = Encoding::of(&bytes);
        }
        let stream = FileStream {
            log_stream,
            epoch_ms: self.epoch_ms,
            encoding: self.encoding,
            read_at: Timestamp::now(),
        };
        let mut lines = Lines::new(&bytes, self.encoding, time, takes_partial_line);
        let mut found = Vec::new();
        let mut count = 0;
        for line in lines.by_ref().take(SEGMENT_LINES) {
            let offset = self.end + u64::try_from(line.start).ok()?;
            found.extend(stream.event(offset, &line).map(|event| FileLine {
                event,
                is_restart: false,
                is_again: false,
            }));
            if count == 0
                && let (Some(before), Some(line)) = (self.unfinished, found.first_mut())
            {
                let time = before.before(Duration::from_millis(1));
                line.event.timestamp = line.event.timestamp.min(time);
                line.event.ingested_at = time;
                line.is_again = true;
            }
            count += 1;
        }
        if let Some(first) = found.first_mut() {
            first.is_restart = self.is_restart;
        }
        let length = lines.bytes_read();
        let has_more = bytes.len() >= READ_BYTES || count >= SEGMENT_LINES;
        let next_time = has_more.then(|| lines.time());
        if length == 0 {
            return None;
        }
        let rest = bytes.len() - length;
        bytes.truncate(length);
        Some(FoundLines {
            segment: Segment {
                start: self.end,
                end: self.end + u64::try_from(length).ok()?,
                time,
                hash: stable_hash(&bytes),
                unfinished: self.unfinished,
            },
            bytes,
            lines: found,
            rest,
            next_time,
        })
    }

    /// Counts lines as read.
    fn accept(&mut self, found: &FoundLines) {
        let FoundLines {
            bytes,
            segment,
            lines,
            ..
        } = found;
        if let Some(last) = lines.last() {
            self.is_restart = false;
            self.last_time = LineKey::of(&last.event, 0).time().max(self.last_time);
        }
        (self.rest, self.unfinished) = (None, None);
        let (head_length, head_hash) = self.head;
        let head = bytes.get(..HEAD_BYTES.saturating_sub(head_length));
        let head = head.unwrap_or(bytes);
        self.head = (head_length + head.len(), continued_hash(head_hash, head));
        let tail = bytes.get(bytes.len().saturating_sub(TAIL_BYTES)..);
        let tail = tail.unwrap_or_default();
        self.tail = (tail.len(), stable_hash(tail));
        self.end = segment.end;
        self.time = found.next_time;
    }
}

/// Opens the file with this identity in the directory of `path`.
fn find_by_id(path: &Path, id: FileId) -> Option<File> {
    let directory = path.parent().filter(|it| !it.as_os_str().is_empty());
    let entries = directory.unwrap_or(Path::new(".")).read_dir().ok()?;
    let mut files = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        let metadata = entry.metadata().ok()?;
        (metadata.is_file() && FileId::of(&metadata) == id)
            .then(|| File::open(entry.path()).ok())?
    });
    files.next()
}

/// Reads up to `length` bytes, fewer at the end of the file.
fn read_at(mut file: &File, offset: u64, length: usize, buffer: &mut Vec<u8>) -> io::Result<()> {
    buffer.clear();
    file.seek(SeekFrom::Start(offset))?;
    let length = u64::try_from(length).unwrap_or(u64::MAX);
    file.take(length).read_to_end(buffer).map(drop)
}
