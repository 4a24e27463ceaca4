//! Files that grow, and the log events in them: each line is an event, and each file is a log stream that has the name
//! of the file without its extension.
//!
//! The system tells which files change. [`FollowedFiles::read`] reads these by turns, a portion of each, so that a file
//! that grows fast does not delay the others. Not all file systems tell, such as those on a network, so somebody should
//! also [look at all files](FollowedFiles::look_at_all) from time to time.

mod first_seen;
mod log_file;
mod notifications;
mod tails;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use cli::log_files::{FoundLogs, LogFileError, log_stream_below, search};
use shared::error::error_chain;
use shared::log_parser::LogFormat;
use shared::model::Timestamp;
use tracing::{error, warn};

use self::first_seen::FirstSeenFile;
use self::log_file::{LogFile, ReadError};
use self::notifications::Watcher;

pub(crate) use self::log_file::{FileLine, Spool};
pub(crate) use self::notifications::Changes;
pub(crate) use self::tails::FileTails;

/// A turn reads no further file after this many bytes.
const TURN_BYTES: usize = 1024 * 1024;
/// The most files that are read in a turn.
const TURN_FILES: usize = 64;

/// Why a file can't be followed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FollowError {
    /// The file can't be read, or not as this log stream.
    #[error(transparent)]
    LogFile(#[from] LogFileError),
    /// The file does not exist, and it can't be created later.
    #[error(
        "can't follow {0}: its directory does not exist; create the directory or check the path"
    )]
    NoDirectory(PathBuf),
}

/// Files that grow.
///
/// The time of a line is the first of these that exists:
///
/// 1. the ISO time stamp at its beginning,
/// 2. the time stamp of the nearest line before it that was read at the same time and has one,
/// 3. the time when it was first seen. For lines that exist at the first look, this is the time when the file was last
///    modified.
///
/// A line is the same event whenever it is read: the event id is made of the line's offset in the file. That holds for a
/// last line without a line end, too. It counts after some seconds; when it has grown, it is read again, and that reading
/// replaces the one before.
///
/// A file that is emptied, replaced or overwritten is read again from its beginning, as another run. One that is
/// overwritten by the very same bytes is not. One that was renamed, and goes on in a new file, is the same run.
pub(crate) struct FollowedFiles {
    /// The directory that keeps when lines were first seen.
    first_seen: Option<PathBuf>,
    files: Vec<Followed>,
    by_name: BTreeMap<(LogFormat, String), usize>,
    by_path: HashMap<PathBuf, usize>,
    /// The directories in which new files are looked for.
    directories: Vec<(LogFormat, PathBuf)>,
    /// The paths on which nothing existed yet, with the paths that the system tells.
    late: Vec<(LogFormat, PathBuf, PathBuf)>,
    /// The files that can't be log streams: each is logged once.
    skipped: HashSet<PathBuf>,
    /// The files to read, by turns.
    queue: VecDeque<usize>,
    changes: Changes,
    watcher: Watcher,
    tails: FileTails,
    /// Whether it was logged that no more files can be opened.
    has_too_many_open: bool,
}

struct Followed {
    format: LogFormat,
    file: LogFile,
    is_queued: bool,
    /// The error of the last reading, so that each error is logged once.
    last_error: Option<String>,
}

/// What was read in one turn: of several files, or of one pipe.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    pub(crate) lines: Vec<(LogFormat, FileLine)>,
    /// The pipe, if it is one.
    pub(crate) pipe: Option<Pipe>,
}

/// The state of a pipe after a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pipe {
    /// The name of its log stream.
    pub(crate) log_stream: String,
    /// Whether nothing will ever follow.
    pub(crate) is_at_end: bool,
}

impl FollowedFiles {
    /// No files. The directory `first_seen` keeps when lines were first seen. Without it, lines have other times after
    /// a restart.
    pub(crate) fn new(first_seen: Option<PathBuf>) -> Self {
        let changes = Changes::default();
        Self {
            first_seen,
            files: Vec::new(),
            by_name: BTreeMap::new(),
            by_path: HashMap::new(),
            directories: Vec::new(),
            late: Vec::new(),
            skipped: HashSet::new(),
            queue: VecDeque::new(),
            watcher: Watcher::new(changes.clone()),
            changes,
            tails: FileTails::default(),
            has_too_many_open: false,
        }
    }

    /// Adds a file or a directory. It need not exist yet.
    ///
    /// A directory stands for the files in it and in the directories below it, also for files that are created later.
    /// A file below it is the log stream `directory/stem`. Hidden and compressed files and the old parts of rotated
    /// logs are skipped.
    ///
    /// # Errors
    ///
    /// [`FollowError`] if it can't be followed.
    pub(crate) fn add_path(&mut self, format: LogFormat, path: &Path) -> Result<(), FollowError> {
        let unreadable = |source| FollowError::from(LogFileError::unreadable(path, source));
        match path.metadata() {
            Ok(metadata) if metadata.is_dir() => {
                let directory = path.canonicalize().map_err(unreadable)?;
                let found = search(&directory).map_err(unreadable)?;
                self.add_found(format, found, Self::add_named)?;
                self.directories.push((format, directory));
                return Ok(());
            }
            Ok(_) => drop(File::open(path).map_err(unreadable)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let told = self.watch_parent(path)?;
                let stem = path.file_stem();
                let mut late = self.late.iter().filter(|(of, _, _)| *of == format);
                if let Some((_, first, _)) = late.find(|(_, late, _)| late.file_stem() == stem) {
                    return Err(LogFileError::SameStream {
                        log_stream: stem.unwrap_or_default().to_string_lossy().into_owned(),
                        first: first.clone(),
                        second: path.to_owned(),
                    }
                    .into());
                }
                self.late.push((format, path.to_owned(), told));
                return Ok(());
            }
            Err(error) => return Err(unreadable(error)),
        }
        self.add_file(format, path)
    }

    /// Adds the copy of a pipe that was opened at `since`. Whoever writes to it tells [`Changes`] its name.
    ///
    /// # Errors
    ///
    /// [`LogFileError::SameStream`] if there is a log stream of that name.
    pub(crate) fn add_spool(
        &mut self,
        format: LogFormat,
        log_stream: &str,
        spool: Spool,
        since: Timestamp,
    ) -> Result<(), FollowError> {
        let file = LogFile::of_spool(log_stream.to_owned(), spool, since);
        self.add(format, file, PathBuf::from(log_stream))
    }

    /// What the system tells about the files.
    pub(crate) fn changes(&self) -> Changes {
        self.changes.clone()
    }

    /// The ends of the files, also of those that are found later.
    pub(crate) fn tails(&self) -> FileTails {
        self.tails.clone()
    }

    /// The names of the log streams of a format.
    pub(crate) fn log_streams(&self, format: LogFormat) -> impl Iterator<Item = &str> {
        let names = self.by_name.keys();
        let names = names.filter(move |(of, _)| *of == format);
        names.map(|(_, name)| name.as_str())
    }

    /// Looks at the files that have changed.
    pub(crate) fn look_at_changes(&mut self) {
        let changed = self.changes.take();
        if changed.is_incomplete {
            return self.look_at_all();
        }
        let mut grown = BTreeSet::new();
        for path in changed.paths {
            if let Some(index) = self.by_path.get(&path) {
                self.enqueue(*index);
            } else {
                self.look_at_new(&path, &mut grown);
            }
        }
        for (format, directory) in grown {
            self.look_at_directory(format, &directory);
        }
    }

    /// Looks for new files, and at all files whether they have changed. Blocks for about 10 ms for 5,000 files.
    pub(crate) fn look_at_all(&mut self) {
        self.changes.take();
        self.look_at_late(|_| true);
        for (format, directory) in self.directories.clone() {
            self.look_at_directory(format, &directory);
        }
        for index in 0..self.files.len() {
            let has_news = self.files.get(index).is_some_and(|followed| {
                followed.last_error.is_some() || followed.file.may_have_changed()
            });
            if has_news {
                self.enqueue(index);
            }
        }
    }

    /// Whether some file is known to have more.
    pub(crate) fn has_more(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Reads the files that have changed, a portion of each, as of `now`. Blocks for some milliseconds. A file that
    /// can't be read is logged once.
    pub(crate) fn read(&mut self, now: Timestamp) -> Turn {
        let mut turn = Turn::default();
        let mut bytes = 0;
        let mut files = self.queue.len().min(TURN_FILES);
        while files > 0 && bytes < TURN_BYTES {
            files -= 1;
            let Some(index) = self.queue.pop_front() else {
                break;
            };
            let Some(followed) = self.files.get_mut(index) else {
                continue;
            };
            let is_pipe = followed.file.is_spool();
            if is_pipe && !turn.lines.is_empty() {
                self.queue.push_front(index);
                break;
            }
            followed.is_queued = false;
            let format = followed.format;
            let portion = match followed.file.read(now) {
                Ok(portion) => portion,
                Err(error) => {
                    self.note_error(index, &error);
                    continue;
                }
            };
            if followed.last_error.take().is_some() {
                self.has_too_many_open = false;
            }
            bytes += portion.bytes;
            let lines = portion.lines.into_iter();
            turn.lines.extend(lines.map(|line| (format, line)));
            let log_stream = is_pipe.then(|| followed.file.log_stream().to_owned());
            if portion.has_more {
                self.enqueue(index);
            }
            if let Some(log_stream) = log_stream {
                turn.pipe = Some(Pipe {
                    log_stream,
                    is_at_end: portion.is_end,
                });
                break;
            }
        }
        turn
    }

    fn enqueue(&mut self, index: usize) {
        if let Some(followed) = self.files.get_mut(index)
            && !std::mem::replace(&mut followed.is_queued, true)
        {
            self.queue.push_back(index);
        }
    }

    /// Logs an error, unless it is that of the last reading.
    fn note_error(&mut self, index: usize, failure: &ReadError) {
        let Some(followed) = self.files.get_mut(index) else {
            return;
        };
        let is_of_process = matches!(failure, ReadError::LogFile(LogFileError::TooManyOpen(_)));
        let text = Some(error_chain(failure));
        let is_known = match is_of_process {
            true => std::mem::replace(&mut self.has_too_many_open, true),
            false => followed.last_error == text,
        };
        if !is_known {
            error!(error = text, "can't follow a log");
        }
        followed.last_error = text;
    }

    /// Looks at a path of which the system told, and which no file has yet. Adds to `grown` the directories that have a
    /// new directory.
    fn look_at_new(&mut self, path: &Path, grown: &mut BTreeSet<(LogFormat, PathBuf)>) {
        self.look_at_late(|told| told == path);
        let directories = self.directories.iter();
        let of_directory = directories.filter(|(_, directory)| path.starts_with(directory));
        let of_directory: Vec<_> = of_directory.cloned().collect();
        for (format, directory) in of_directory {
            if path.is_dir() {
                grown.insert((format, directory));
            } else if let Some(log_stream) = log_stream_below(&directory, path) {
                let files = vec![(log_stream, path.to_owned())];
                let found = FoundLogs {
                    files,
                    ..FoundLogs::default()
                };
                drop(self.add_found(format, found, Self::add_or_skip));
            }
        }
    }

    /// Looks for new files in a directory and below.
    fn look_at_directory(&mut self, format: LogFormat, directory: &Path) {
        if let Ok(found) = search(directory) {
            drop(self.add_found(format, found, Self::add_or_skip));
        }
    }

    /// Adds the paths that exist now and did not before.
    fn look_at_late(&mut self, is_asked: impl Fn(&Path) -> bool) {
        let late = std::mem::take(&mut self.late);
        let is_there = |(_, path, told): &(_, PathBuf, PathBuf)| is_asked(told) && path.exists();
        let (there, late) = late.into_iter().partition(is_there);
        self.late = late;
        let there: Vec<(LogFormat, PathBuf, PathBuf)> = there;
        for (format, path, _) in there {
            if let Err(failure) = self.add_path(format, &path) {
                self.skip(&path, &failure);
            }
        }
    }

    /// Adds what is new of the files that were found.
    fn add_found(
        &mut self,
        format: LogFormat,
        found: FoundLogs,
        add: fn(&mut Self, LogFormat, String, PathBuf) -> Result<(), FollowError>,
    ) -> Result<(), FollowError> {
        for directory in &found.directories {
            self.watcher.watch(directory);
        }
        for path in found.no_files {
            if !self.skipped.contains(&path) {
                let advice = "a pipe is read if the command line names it";
                warn!(path = %path.display(), "skipped what is no file: {advice}");
                self.skipped.insert(path);
            }
        }
        for (log_stream, path) in found.files {
            if !self.by_path.contains_key(&path) {
                add(self, format, log_stream, path)?;
            }
        }
        Ok(())
    }

    fn add_or_skip(
        &mut self,
        format: LogFormat,
        log_stream: String,
        path: PathBuf,
    ) -> Result<(), FollowError> {
        if !self.skipped.contains(&path)
            && let Err(failure) = self.add_named(format, log_stream, path.clone())
        {
            self.skip(&path, &failure);
        }
        Ok(())
    }

    fn skip(&mut self, path: &Path, failure: &FollowError) {
        error!(error = error_chain(failure), "skipped a log file");
        self.skipped.insert(path.to_owned());
    }

    /// Adds a file that the command line names.
    fn add_file(&mut self, format: LogFormat, path: &Path) -> Result<(), FollowError> {
        let Some(stem) = path.file_stem() else {
            return Err(LogFileError::Nameless(path.to_owned()).into());
        };
        let told = self.watch_parent(path)?;
        let log_stream = stem.to_string_lossy().into_owned();
        let file = self.file_at(format, log_stream, path.to_owned());
        self.add(format, file, told)
    }

    /// Adds a file that was found in a directory.
    fn add_named(
        &mut self,
        format: LogFormat,
        log_stream: String,
        path: PathBuf,
    ) -> Result<(), FollowError> {
        let file = self.file_at(format, log_stream, path.clone());
        self.add(format, file, path)
    }

    fn file_at(&self, format: LogFormat, log_stream: String, path: PathBuf) -> LogFile {
        let directory = self.first_seen.as_deref();
        let log_group = format.file_log_group;
        let first_seen = directory.map(|it| FirstSeenFile::new(it, log_group, &log_stream));
        LogFile::at_path(log_stream, path, first_seen)
    }

    /// Adds a file, which the system calls `told`.
    fn add(&mut self, format: LogFormat, file: LogFile, told: PathBuf) -> Result<(), FollowError> {
        let name = (format, file.log_stream().to_owned());
        let first = self.by_name.get(&name);
        if let Some(first) = first.and_then(|index| self.files.get(*index)) {
            return Err(LogFileError::SameStream {
                first: first.file.path().to_owned(),
                second: file.path().to_owned(),
                log_stream: name.1,
            }
            .into());
        }
        if !file.is_spool() {
            let group = format.file_log_group;
            self.tails.add(group, file.log_stream(), file.path());
        }
        let index = self.files.len();
        self.files.push(Followed {
            format,
            file,
            is_queued: false,
            last_error: None,
        });
        self.by_name.insert(name, index);
        self.by_path.insert(told, index);
        self.enqueue(index);
        Ok(())
    }

    /// Watches the directory of `path`. Returns what the system calls `path`.
    fn watch_parent(&mut self, path: &Path) -> Result<PathBuf, FollowError> {
        let parent = path.parent().filter(|it| !it.as_os_str().is_empty());
        let directory = parent.unwrap_or(Path::new(".")).canonicalize();
        let directory = directory.map_err(|_| FollowError::NoDirectory(path.to_owned()))?;
        self.watcher.watch(&directory);
        let name = path.file_name();
        let name = name.ok_or_else(|| LogFileError::Nameless(path.to_owned()))?;
        Ok(directory.join(name))
    }
}

#[cfg(test)]
mod tests;
