//! One log stream: a file that grows, and that may be renamed or emptied.

use std::fs::{File, Metadata};
use std::io;
use std::path::PathBuf;

use super::file_version::{FileVersion, Segment};
use super::first_seen::FirstSeenFile;
use shared::model::Timestamp;

/// How many versions of a file stay readable, the current one included.
const MAX_VERSIONS: usize = 3;

/// The times of new lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TimeRange {
    pub(super) earliest: Timestamp,
    pub(super) latest: Timestamp,
}

impl TimeRange {
    fn of(segment: &Segment) -> Self {
        Self {
            earliest: segment.earliest,
            latest: segment.latest,
        }
    }
}

/// One log stream.
#[derive(Debug)]
pub(super) struct LogStream {
    /// The path of its file; `None` for a file that was given open.
    path: Option<PathBuf>,
    first_seen: Option<FirstSeenFile>,
    /// The versions of the file, the current one last.
    pub(super) versions: Vec<FileVersion>,
    is_first_poll: bool,
}

impl LogStream {
    /// The log stream of the file at `path`, which need not exist yet.
    pub(super) fn at_path(path: PathBuf, first_seen: Option<FirstSeenFile>) -> Self {
        Self {
            path: Some(path),
            first_seen,
            versions: Vec::new(),
            is_first_poll: true,
        }
    }

    /// The log stream of an open file. The file was created at `since`.
    pub(super) fn of_file(file: File, since: Timestamp) -> Self {
        let epoch_ms = u64::try_from(since.as_millis()).unwrap_or(0);
        Self {
            path: None,
            first_seen: None,
            versions: vec![FileVersion::new(epoch_ms, file)],
            is_first_poll: false,
        }
    }

    /// Finds new lines at the time `now`, and adds their times to `ranges`.
    pub(super) fn poll(&mut self, now: Timestamp, ranges: &mut Vec<TimeRange>) -> io::Result<()> {
        let seen_at = self.check_file(now, ranges)?;
        self.scan_current(seen_at, false, ranges)
    }

    /// Opens the file at the path, if it is new or was replaced or emptied. Returns when its new lines were first
    /// seen.
    fn check_file(&mut self, now: Timestamp, ranges: &mut Vec<TimeRange>) -> io::Result<Timestamp> {
        let Some(path) = &self.path else {
            return Ok(now);
        };
        let metadata = match path.metadata() {
            Ok(metadata) => metadata,
            // Not created yet, or renamed and not created again.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.is_first_poll = false;
                return Ok(now);
            }
            Err(error) => return Err(error),
        };
        let Some(current) = self.versions.last() else {
            let file = File::open(path)?;
            // The lines that exist when the process starts were written earlier.
            let modified = metadata.modified().map(chrono::DateTime::from);
            let seen_at = match modified {
                Ok(modified) if self.is_first_poll => Timestamp::from(modified).min(now),
                _ => now,
            };
            self.is_first_poll = false;
            self.begin_or_restore(file, now, ranges)?;
            return Ok(seen_at);
        };
        let is_replaced = !is_same_file(&current.file.metadata()?, &metadata);
        let is_truncated = metadata.len() < current.end();
        if is_replaced {
            let file = File::open(path)?;
            self.scan_current(now, true, ranges)?;
            self.begin(file, now)?;
        } else if is_truncated {
            let file = File::open(path)?;
            self.versions.pop();
            self.begin(file, now)?;
        }
        Ok(now)
    }

    /// Begins a new version of the file.
    fn begin(&mut self, file: File, now: Timestamp) -> io::Result<()> {
        let epoch_ms = u64::try_from(now.as_millis()).unwrap_or(0);
        if let Some(first_seen) = &self.first_seen {
            first_seen.begin(epoch_ms)?;
        }
        self.versions.push(FileVersion::new(epoch_ms, file));
        let surplus = self.versions.len().saturating_sub(MAX_VERSIONS);
        self.versions.drain(..surplus);
        Ok(())
    }

    /// Begins the first version of the file, with the segments that an earlier run found.
    fn begin_or_restore(
        &mut self,
        file: File,
        now: Timestamp,
        ranges: &mut Vec<TimeRange>,
    ) -> io::Result<()> {
        let Some(first_seen) = &self.first_seen else {
            self.versions.push(FileVersion::new(0, file));
            return Ok(());
        };
        let saved = first_seen.load()?;
        let mut version = FileVersion::new(saved.epoch_ms, file);
        for segment in &saved.segments {
            if !version.restore(segment)? {
                return self.begin(version.file, now); // the file was replaced meanwhile
            }
        }
        // Written again, because its last line may be incomplete.
        first_seen.begin(saved.epoch_ms)?;
        for segment in &version.segments {
            first_seen.add(segment)?;
            // The earlier run may have ended before it saved the tasks of these lines.
            ranges.push(TimeRange::of(segment));
        }
        self.versions.push(version);
        Ok(())
    }

    fn scan_current(
        &mut self,
        seen_at: Timestamp,
        takes_partial_line: bool,
        ranges: &mut Vec<TimeRange>,
    ) -> io::Result<()> {
        let Some(current) = self.versions.last_mut() else {
            return Ok(());
        };
        let first_seen = self.first_seen.as_ref();
        let mut written = Ok(());
        current.scan(seen_at, takes_partial_line, |segment| {
            ranges.push(TimeRange::of(segment));
            if let (Ok(()), Some(first_seen)) = (&written, first_seen) {
                written = first_seen.add(segment);
            }
        })?;
        written
    }
}

/// Whether an open file and the one at its path are the same.
#[cfg(unix)]
fn is_same_file(open: &Metadata, at_path: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (open.dev(), open.ino()) == (at_path.dev(), at_path.ino())
}

/// Whether an open file and the one at its path are the same. This system does not say, so only an emptied file is
/// noticed.
#[cfg(not(unix))]
fn is_same_file(_open: &Metadata, _at_path: &Metadata) -> bool {
    true
}
