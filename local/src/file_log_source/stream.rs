//! One log stream: a file that is read as it grows, is renamed, or is emptied.

use std::fs::{File, Metadata};
use std::io;
use std::path::PathBuf;

use super::generation::{Generation, Segment};
use super::journal::Journal;
use shared::model::Timestamp;

/// How many earlier contents of a file stay readable after it was replaced.
const MOST_GENERATIONS: usize = 3;

/// The times of lines that are new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) earliest: Timestamp,
    pub(super) latest: Timestamp,
}

impl Span {
    fn of(segment: &Segment) -> Self {
        Self {
            earliest: segment.earliest,
            latest: segment.latest,
        }
    }
}

/// One log stream.
#[derive(Debug)]
pub(super) struct Stream {
    /// Its file's path; `None` for one that was given open.
    path: Option<PathBuf>,
    journal: Option<Journal>,
    /// What the file holds, last, and before it what it has held.
    pub(super) generations: Vec<Generation>,
    is_first_look: bool,
}

impl Stream {
    /// The stream of the file at `path`, which need not exist yet.
    pub(super) fn at_path(path: PathBuf, journal: Option<Journal>) -> Self {
        Self {
            path: Some(path),
            journal,
            generations: Vec::new(),
            is_first_look: true,
        }
    }

    /// The stream of an open file, whose lines came at `since` or later.
    pub(super) fn of_file(file: File, since: Timestamp) -> Self {
        let epoch_ms = u64::try_from(since.as_millis()).unwrap_or(0);
        Self {
            path: None,
            journal: None,
            generations: vec![Generation::new(epoch_ms, file)],
            is_first_look: false,
        }
    }

    /// Finds new lines, as of `now`; the times of what was found are added to `spans`.
    pub(super) fn poll(&mut self, now: Timestamp, spans: &mut Vec<Span>) -> io::Result<()> {
        let seen_at = self.look_at_file(now, spans)?;
        self.scan_last(seen_at, false, spans)
    }

    /// Opens the file that is at the path, if it is another than before; tells when its new lines were
    /// first seen.
    fn look_at_file(&mut self, now: Timestamp, spans: &mut Vec<Span>) -> io::Result<Timestamp> {
        let Some(path) = &self.path else {
            return Ok(now);
        };
        let metadata = match path.metadata() {
            Ok(metadata) => metadata,
            // Not made yet, or renamed and not made anew.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.is_first_look = false;
                return Ok(now);
            }
            Err(error) => return Err(error),
        };
        let Some(last) = self.generations.last() else {
            let file = File::open(path)?;
            // What is there when the process starts was written at some time before.
            let modified = metadata.modified().map(chrono::DateTime::from);
            let seen_at = match modified {
                Ok(modified) if self.is_first_look => Timestamp::from(modified).min(now),
                _ => now,
            };
            self.is_first_look = false;
            self.begin_or_restore(file, now, spans)?;
            return Ok(seen_at);
        };
        let is_replaced = !is_same_file(&last.file.metadata()?, &metadata);
        let is_truncated = metadata.len() < last.end();
        if is_replaced {
            let file = File::open(path)?;
            self.scan_last(now, true, spans)?;
            self.begin(file, now)?;
        } else if is_truncated {
            let file = File::open(path)?;
            self.generations.pop();
            self.begin(file, now)?;
        }
        Ok(now)
    }

    /// Begins to read a file anew.
    fn begin(&mut self, file: File, now: Timestamp) -> io::Result<()> {
        let epoch_ms = u64::try_from(now.as_millis()).unwrap_or(0);
        if let Some(journal) = &self.journal {
            journal.begin(epoch_ms)?;
        }
        self.generations.push(Generation::new(epoch_ms, file));
        let surplus = self.generations.len().saturating_sub(MOST_GENERATIONS);
        self.generations.drain(..surplus);
        Ok(())
    }

    /// Begins to read a file for the first time, with what an earlier process has written down of it.
    fn begin_or_restore(
        &mut self,
        file: File,
        now: Timestamp,
        spans: &mut Vec<Span>,
    ) -> io::Result<()> {
        let Some(journal) = &self.journal else {
            self.generations.push(Generation::new(0, file));
            return Ok(());
        };
        let remembered = journal.load()?;
        let mut generation = Generation::new(remembered.epoch_ms, file);
        for known in &remembered.segments {
            if !generation.restore(known)? {
                return self.begin(generation.file, now); // another file by now
            }
        }
        // Written anew, so that nothing stands after what may be a cut-off line.
        journal.begin(remembered.epoch_ms)?;
        for segment in &generation.segments {
            journal.add(segment)?;
            // That an earlier process has found them doesn't mean that it has saved what they say.
            spans.push(Span::of(segment));
        }
        self.generations.push(generation);
        Ok(())
    }

    fn scan_last(
        &mut self,
        seen_at: Timestamp,
        takes_rest: bool,
        spans: &mut Vec<Span>,
    ) -> io::Result<()> {
        let Some(last) = self.generations.last_mut() else {
            return Ok(());
        };
        let journal = self.journal.as_ref();
        let mut written = Ok(());
        last.scan(seen_at, takes_rest, |segment| {
            spans.push(Span::of(segment));
            if let (Ok(()), Some(journal)) = (&written, journal) {
                written = journal.add(segment);
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

/// Whether an open file and the one at its path are the same: unknown here, so only a truncation is seen.
#[cfg(not(unix))]
fn is_same_file(_open: &Metadata, _at_path: &Metadata) -> bool {
    true
}
