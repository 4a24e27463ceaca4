//! Log events from files: each line is an event, and each file is a log stream that has the name of the file without
//! its extension.
//!
//! [`FileLogSource::poll`] divides the new lines of each file into segments and keeps the times of each segment. A
//! request for a window then reads only the segments that have lines of the window. Pages go through the log streams
//! in the order of their names, and through each file from its beginning.

mod file_version;
mod first_seen;
mod log_stream;
mod page_token;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tracing::warn;

use self::file_version::SEGMENT_BYTES;
use self::first_seen::FirstSeenFile;
use self::log_stream::{LogStream, TimeRange};
use self::page_token::{InvalidPageToken, PageToken};
use cli::log_files::{LogFileError, find_logs};
use shared::error::error_chain;
use shared::log_event::LogEvent;
use shared::log_source::{LogPage, LogSource, LogSourceError, PageRequest};
use shared::model::Timestamp;

/// The number of events that fills a page.
const PAGE_EVENTS: usize = 10_000;

/// Why a file can't be a log stream.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileLogError {
    /// The file can't be read, or not as this log stream.
    #[error(transparent)]
    LogFile(#[from] LogFileError),
    /// The file does not exist, and it can't be created later.
    #[error(
        "can't follow {0}: its directory does not exist; create the directory or check the path"
    )]
    NoDirectory(PathBuf),
}

/// The times of new events of a log group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewEvents {
    /// The log group.
    pub log_group: String,
    /// The time of the earliest event.
    pub earliest: Timestamp,
    /// The time of the latest event.
    pub latest: Timestamp,
}

impl NewEvents {
    /// Widens the times by those of `other`, which is of the same log group.
    pub(crate) fn join(&mut self, other: &Self) {
        self.earliest = self.earliest.min(other.earliest);
        self.latest = self.latest.max(other.latest);
    }
}

/// Log groups whose log streams are files.
///
/// The time of a line is the first of these that exists:
///
/// 1. the ISO time stamp at its beginning,
/// 2. the time stamp of the nearest line before it that has one,
/// 3. the time when it was first seen. For lines that exist at the first poll, this is the time when the file was last
///    modified.
///
/// A line is the same event whenever it is read: the event id is made of the line's offset in the file.
#[derive(Debug, Clone)]
pub(crate) struct FileLogSource {
    /// The directory that keeps when lines were first seen.
    first_seen: Option<PathBuf>,
    groups: Arc<Mutex<BTreeMap<String, Group>>>,
}

#[derive(Debug, Default)]
struct Group {
    streams: BTreeMap<String, NamedStream>,
    directories: Vec<PathBuf>,
}

/// A log stream and the path that its name comes from.
#[derive(Debug)]
struct NamedStream {
    path: PathBuf,
    stream: LogStream,
    /// The error of the last poll, so that each error is logged once.
    last_error: Option<String>,
}

impl FileLogSource {
    /// A source without files. The directory `first_seen` keeps when lines were first seen. Without it, lines have
    /// other times after a restart.
    pub(crate) fn new(first_seen: Option<PathBuf>) -> Self {
        Self {
            first_seen,
            groups: Arc::default(),
        }
    }

    /// Adds a file or a directory to a log group. The file need not exist yet.
    ///
    /// A directory stands for the files in it and in the directories below it, also for files that are created later.
    /// A file below it is the log stream `directory/stem`. Hidden and compressed files and the old parts of rotated
    /// logs are skipped.
    ///
    /// # Errors
    ///
    /// [`FileLogError`] if it can't be a log stream of that group.
    pub(crate) fn add_path(&self, log_group: &str, path: &Path) -> Result<(), FileLogError> {
        let unreadable = |source| FileLogError::from(LogFileError::unreadable(path, source));
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
            // The file may be created later, but its directory must exist.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let parent = path
                    .parent()
                    .filter(|parent| !parent.as_os_str().is_empty());
                let may_be_created = parent.is_none_or(Path::is_dir);
                if !may_be_created {
                    return Err(FileLogError::NoDirectory(path.to_owned()));
                }
            }
            Err(error) => return Err(unreadable(error)),
        }
        let Some(stem) = path.file_stem() else {
            return Err(LogFileError::Nameless(path.to_owned()).into());
        };
        let log_stream = stem.to_string_lossy().into_owned();
        self.add_stream(log_group, group, log_stream, path.to_owned())
    }

    /// Adds an open file as a log stream. The file was created at `since`.
    ///
    /// # Errors
    ///
    /// [`LogFileError::SameStream`] if the log group has a log stream of that name.
    pub(crate) fn add_file(
        &self,
        log_group: &str,
        log_stream: &str,
        file: File,
        since: Timestamp,
    ) -> Result<(), FileLogError> {
        let mut groups = self.lock();
        let group = groups.entry(log_group.to_owned()).or_default();
        let stream = LogStream::of_file(file, since);
        group.add(log_stream.to_owned(), PathBuf::from(log_stream), stream)
    }

    /// The names of the log streams of a log group.
    pub(crate) fn log_streams(&self, log_group: &str) -> Vec<String> {
        let groups = self.lock();
        let streams = groups.get(log_group).map(|group| group.streams.keys());
        streams.into_iter().flatten().cloned().collect()
    }

    /// Finds new lines at the time `now`, and returns their times for each log group that has some. Blocks while it
    /// reads files. A file that can't be read is logged once.
    pub(crate) fn poll(&self, now: Timestamp) -> Vec<NewEvents> {
        let mut groups = self.lock();
        let mut found = Vec::new();
        for (log_group, group) in groups.iter_mut() {
            self.add_new_files(log_group, group);
            let mut ranges = Vec::new();
            for named in group.streams.values_mut() {
                let outcome = named.stream.poll(now, &mut ranges);
                let last_error = outcome.err().map(|error| error_chain(&error));
                if let Some(error) = &last_error
                    && named.last_error != last_error
                {
                    warn!(file = %named.path.display(), error, "can't read a log file");
                }
                named.last_error = last_error;
            }
            let earliest = ranges.iter().map(|range: &TimeRange| range.earliest).min();
            let latest = ranges.iter().map(|range| range.latest).max();
            found.extend(earliest.zip(latest).map(|(earliest, latest)| NewEvents {
                log_group: log_group.clone(),
                earliest,
                latest,
            }));
        }
        found
    }

    /// Adds the new files of the directories of a log group.
    fn add_new_files(&self, log_group: &str, group: &mut Group) {
        let files = group
            .directories
            .iter()
            .filter_map(|path| find_logs(path).ok());
        let files: Vec<_> = files.flatten().collect();
        for (log_stream, file) in files {
            let is_known = group.streams.values().any(|named| named.path == file);
            if !is_known && let Err(error) = self.add_stream(log_group, group, log_stream, file) {
                // Only at debug level, because every poll finds this file again.
                tracing::debug!(error = error_chain(&error), "skipped a log file");
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
        let directory = self.first_seen.as_deref();
        let first_seen = directory.map(|it| FirstSeenFile::new(it, log_group, &log_stream));
        let stream = LogStream::at_path(path.clone(), first_seen);
        group.add(log_stream, path, stream)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Group>> {
        // After a panic, the worst case is that one segment is found again.
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a page. Blocks while it reads files.
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
        stream: LogStream,
    ) -> Result<(), FileLogError> {
        if let Some(first) = self.streams.get(&log_stream) {
            return Err(LogFileError::SameStream {
                first: first.path.clone(),
                second: path,
                log_stream,
            }
            .into());
        }
        let named = NamedStream {
            path,
            stream,
            last_error: None,
        };
        self.streams.insert(log_stream, named);
        Ok(())
    }

    /// Reads segments from the page token on until the page is full.
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
            for version in &mut named.stream.versions {
                let epoch_ms = version.epoch_ms;
                for segment in version.segments.clone() {
                    let is_read = after.is_some_and(|after| (epoch_ms, segment.start) < after);
                    if is_read || segment.latest < request.start || segment.earliest > request.end {
                        continue;
                    }
                    if bytes_read >= SEGMENT_BYTES as u64 || events.len() >= PAGE_EVENTS {
                        let page_token = PageToken {
                            epoch_ms,
                            offset: segment.start,
                            log_stream: log_stream.clone(),
                        };
                        return Ok(LogPage {
                            events,
                            next_token: Some(page_token.to_string()),
                        });
                    }
                    let window = (request.start, request.end);
                    version.read_events(log_stream, segment, window, &mut events)?;
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

/// A page request that another thread can own.
struct OwnedRequest {
    log_group: String,
    start: Timestamp,
    end: Timestamp,
    after: Option<PageToken>,
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
            after: after.map_err(|error: InvalidPageToken| LogSourceError::Refused {
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
