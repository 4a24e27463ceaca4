//! Log events from files: each line of a file is an event, each file a log stream named by its stem.
//!
//! What [`FileLogSource::poll`] finds is remembered as segments of a file with the times of their lines, so that
//! a window is answered by reading those parts of the files that are in it. Pages go through the log streams
//! by name and through each file from its beginning.

mod generation;
mod journal;
mod stream;
mod token;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tracing::warn;

use self::generation::SEGMENT_BYTES;
use self::journal::Journal;
use self::stream::{Span, Stream};
use self::token::Token;
use cli::log_files::find_logs;
use shared::error::error_chain;
use shared::log_event::LogEvent;
use shared::log_source::{LogPage, LogSource, LogSourceError, PageRequest};
use shared::model::Timestamp;

/// A page that has as many events as this is full.
const PAGE_EVENTS: usize = 10_000;

/// Why a file can't be a log stream.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileLogError {
    /// It can't be read.
    #[error("can't read {path}")]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It has no name, as `..` has none.
    #[error("{0} is no name of a file")]
    Nameless(PathBuf),
    /// Another file of the log group has the same stem.
    #[error(
        "{second} would be the log stream \"{log_stream}\", as {first} is already: \
         a log stream has the file's name without its extension; rename one of the two"
    )]
    SameStream {
        /// The stem.
        log_stream: String,
        /// The file that was there first.
        first: PathBuf,
        /// The file that was refused.
        second: PathBuf,
    },
}

/// Events of a log group that were not there before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewEvents {
    /// The log group.
    pub log_group: String,
    /// The time of the earliest.
    pub earliest: Timestamp,
    /// The time of the latest.
    pub latest: Timestamp,
}

impl NewEvents {
    /// Widens this to what `other`, of the same log group, covers too.
    pub(crate) fn join(&mut self, other: &Self) {
        self.earliest = self.earliest.min(other.earliest);
        self.latest = self.latest.max(other.latest);
    }
}

/// Log groups whose log streams are files.
///
/// A line's time is the ISO time stamp that it begins with, or that of the last line before it which has
/// one, or else the moment the line was first seen; what a file holds when it is first looked at is of the
/// moment the file was last modified. A line is the same event whenever it is read: its id is made of
/// its place in the file.
#[derive(Debug, Clone, Default)]
pub(crate) struct FileLogSource {
    journals: Option<PathBuf>,
    groups: Arc<Mutex<BTreeMap<String, Group>>>,
}

#[derive(Debug, Default)]
struct Group {
    streams: BTreeMap<String, Named>,
    directories: Vec<PathBuf>,
}

/// A log stream and the path that gave it its name.
#[derive(Debug)]
struct Named {
    path: PathBuf,
    stream: Stream,
    /// What went wrong with it last, so that it is said once.
    complaint: Option<String>,
}

impl FileLogSource {
    /// A source without files.
    pub(crate) fn new() -> Self {
        Self {
            journals: None,
            groups: Arc::default(),
        }
    }

    /// Keeps in `directory` when lines were first seen, so that they have the same time after a restart.
    /// Must come before the files.
    #[must_use]
    pub(crate) fn with_journals(mut self, directory: PathBuf) -> Self {
        self.journals = Some(directory);
        self
    }

    /// Adds a file to a log group, or a directory whose files belong to it, and those of the directories in it: also
    /// those that come later, if files are followed. A file in a directory within is the log stream
    /// `directory/stem`. Files that are hidden, packed, or left by a log's rotation are left out.
    ///
    /// # Errors
    ///
    /// [`FileLogError`] if it can't be a log stream of that group.
    pub(crate) fn add_path(&self, log_group: &str, path: &Path) -> Result<(), FileLogError> {
        let unreadable = |source| FileLogError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let mut groups = self.lock();
        let group = groups.entry(log_group.to_owned()).or_default();
        match path.metadata() {
            Ok(metadata) if metadata.is_dir() => {
                for (log_stream, file) in find_logs(path).map_err(unreadable)? {
                    self.add_stream(log_group, group, log_stream, file)?;
                }
                group.directories.push(path.to_owned());
                return Ok(());
            }
            Ok(_) => drop(File::open(path).map_err(unreadable)?),
            // A file that is to be followed may be made later, but not where there is no directory.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let parent = path
                    .parent()
                    .filter(|parent| !parent.as_os_str().is_empty());
                let can_come = parent.is_none_or(Path::is_dir);
                if !can_come {
                    return Err(unreadable(error));
                }
            }
            Err(error) => return Err(unreadable(error)),
        }
        let Some(stem) = path.file_stem() else {
            return Err(FileLogError::Nameless(path.to_owned()));
        };
        let log_stream = stem.to_string_lossy().into_owned();
        self.add_stream(log_group, group, log_stream, path.to_owned())
    }

    /// Adds a file that is open already as a log stream. Its lines are new as of `since`.
    ///
    /// # Errors
    ///
    /// [`FileLogError::SameStream`] if the log group has that log stream.
    pub(crate) fn add_file(
        &self,
        log_group: &str,
        log_stream: &str,
        file: File,
        since: Timestamp,
    ) -> Result<(), FileLogError> {
        let mut groups = self.lock();
        let group = groups.entry(log_group.to_owned()).or_default();
        let stream = Stream::of_file(file, since);
        group.add(log_stream.to_owned(), PathBuf::from(log_stream), stream)
    }

    /// The names of a log group's log streams.
    pub(crate) fn log_streams(&self, log_group: &str) -> Vec<String> {
        let groups = self.lock();
        let streams = groups.get(log_group).map(|group| group.streams.keys());
        streams.into_iter().flatten().cloned().collect()
    }

    /// Looks for lines that are new as of `now`, and tells in which log groups there are some. It blocks
    /// until all files were looked at. A file that can't be read is said once in the log.
    pub(crate) fn poll(&self, now: Timestamp) -> Vec<NewEvents> {
        let mut groups = self.lock();
        let mut found = Vec::new();
        for (log_group, group) in groups.iter_mut() {
            self.add_new_files(log_group, group);
            let mut spans = Vec::new();
            for named in group.streams.values_mut() {
                let outcome = named.stream.poll(now, &mut spans);
                let complaint = outcome.err().map(|error| error_chain(&error));
                if let Some(error) = &complaint
                    && named.complaint != complaint
                {
                    warn!(file = %named.path.display(), error, "can't read a file");
                }
                named.complaint = complaint;
            }
            let earliest = spans.iter().map(|span: &Span| span.earliest).min();
            let latest = spans.iter().map(|span| span.latest).max();
            found.extend(earliest.zip(latest).map(|(earliest, latest)| NewEvents {
                log_group: log_group.clone(),
                earliest,
                latest,
            }));
        }
        found
    }

    /// Adds the files that have come to a group's directories.
    fn add_new_files(&self, log_group: &str, group: &mut Group) {
        let files = group
            .directories
            .iter()
            .filter_map(|path| find_logs(path).ok());
        let files: Vec<_> = files.flatten().collect();
        for (log_stream, file) in files {
            let is_known = group.streams.values().any(|named| named.path == file);
            if !is_known && let Err(error) = self.add_stream(log_group, group, log_stream, file) {
                // Not said again and again: this file is not looked at any more.
                tracing::debug!(error = error_chain(&error), "left a file out");
            }
        }
    }

    fn add_stream(
        &self,
        log_group: &str,
        group: &mut Group,
        log_stream: String,
        path: PathBuf,
    ) -> Result<(), FileLogError> {
        let journals = self.journals.as_deref();
        let journal = journals.map(|directory| Journal::new(directory, log_group, &log_stream));
        let stream = Stream::at_path(path.clone(), journal);
        group.add(log_stream, path, stream)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Group>> {
        // What a panic could leave behind is at worst a segment that is found again.
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a page; blocks meanwhile.
    fn read_page(&self, request: &OwnedRequest) -> Result<LogPage, LogSourceError> {
        let mut groups = self.lock();
        let group = groups
            .get_mut(&request.log_group)
            .ok_or_else(|| LogSourceError::GroupNotFound(request.log_group.clone()))?;
        let page = group.read_page(request);
        page.map_err(|source| LogSourceError::Unavailable {
            log_group: request.log_group.clone(),
            source: source.into(),
        })
    }
}

impl Group {
    fn add(
        &mut self,
        log_stream: String,
        path: PathBuf,
        stream: Stream,
    ) -> Result<(), FileLogError> {
        if let Some(first) = self.streams.get(&log_stream) {
            return Err(FileLogError::SameStream {
                first: first.path.clone(),
                second: path,
                log_stream,
            });
        }
        let named = Named {
            path,
            stream,
            complaint: None,
        };
        self.streams.insert(log_stream, named);
        Ok(())
    }

    /// Reads the segments that follow the token, as many as make a page.
    fn read_page(&mut self, request: &OwnedRequest) -> io::Result<LogPage> {
        let after = request.after.as_ref();
        let mut events: Vec<LogEvent> = Vec::new();
        let mut bytes_read = 0;
        for (log_stream, named) in &mut self.streams {
            if after.is_some_and(|after| *log_stream < after.log_stream) {
                continue;
            }
            let after = after.filter(|after| *log_stream == after.log_stream);
            let after = after.map(|after| (after.epoch_ms, after.offset));
            for generation in &mut named.stream.generations {
                let epoch_ms = generation.epoch_ms;
                for segment in generation.segments.clone() {
                    let is_read = after.is_some_and(|after| (epoch_ms, segment.start) < after);
                    if is_read || segment.latest < request.start || segment.earliest > request.end {
                        continue;
                    }
                    if bytes_read >= SEGMENT_BYTES as u64 || events.len() >= PAGE_EVENTS {
                        let token = Token {
                            epoch_ms,
                            offset: segment.start,
                            log_stream: log_stream.clone(),
                        };
                        return Ok(LogPage {
                            events,
                            next_token: Some(token.to_string()),
                        });
                    }
                    let window = (request.start, request.end);
                    generation.read_events(log_stream, segment, window, &mut events)?;
                    bytes_read += segment.end - segment.start;
                }
            }
        }
        Ok(LogPage {
            events,
            next_token: None,
        })
    }
}

/// A request that outlives its caller, to be answered on another thread.
struct OwnedRequest {
    log_group: String,
    start: Timestamp,
    end: Timestamp,
    after: Option<Token>,
}

#[async_trait]
impl LogSource for FileLogSource {
    async fn fetch_page(&self, request: PageRequest<'_>) -> Result<LogPage, LogSourceError> {
        let log_group = request.log_group;
        let after = request.next_token.map(str::parse).transpose();
        let request = OwnedRequest {
            log_group: log_group.to_owned(),
            start: request.start,
            end: request.end,
            after: after.map_err(|error: token::InvalidToken| LogSourceError::Refused {
                log_group: log_group.to_owned(),
                source: error.into(),
            })?,
        };
        let source = self.clone();
        let page = tokio::task::spawn_blocking(move || source.read_page(&request)).await;
        page.unwrap_or_else(|error| {
            Err(LogSourceError::Unavailable {
                log_group: log_group.to_owned(),
                source: error.into(),
            })
        })
    }
}

#[cfg(test)]
mod tests;
