//! `progress report`: reads logs once, parses them as the collector does, and prints their tasks.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use progress_core::batch::named_ids::{
    MOST_NAMED_IDS, NamedIds, RefusedIds, ids_by_stream, move_to_stream,
};
use progress_core::batch::{Batch, says_nothing};
use progress_core::error::error_chain;
use progress_core::fold::{FactLog, LATEST_FACTS, MOST_FACTS, Run};
use progress_core::log_file::{Encoding, FileStream, Lines};
use progress_core::log_parser::LogFormat;
use progress_core::model::{Revision, Task, TaskId, TaskStatus, Timestamp};
use progress_core::record::{TaskOrigin, task_of_run};
use progress_core::view::Renderer;

use crate::args::{LogArgs, ReportArgs};
use crate::log_files::{LogFileError, find_logs};
use crate::plain_text::plain;
use crate::table::{Look, write_table};

/// The size of one read from a file, in bytes.
const READ_BYTES: usize = 1024 * 1024;

/// The first bytes of a file that is packed with gzip.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// An error of `progress report`. The messages are for the user of the command.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A log can't be read.
    #[error(transparent)]
    Log(#[from] LogFileError),
    /// Standard output can't be written.
    #[error("can't write to standard output")]
    Print(#[source] io::Error),
}

impl ReportError {
    /// Prints the error and returns the exit code: 1 if the output fails, else 2. A closed pipe is
    /// a success.
    pub fn print(&self) -> ExitCode {
        match self {
            // A reader such as `head` closes the pipe early.
            Self::Print(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                return ExitCode::SUCCESS;
            }
            _ => eprintln!("error: {}", plain(&error_chain(self))),
        }
        match self {
            Self::Print(_) => ExitCode::FAILURE,
            _ => ExitCode::from(2),
        }
    }
}

/// A log to read.
struct Log {
    format: LogFormat,
    log_stream: String,
    /// The file; `-` for standard input.
    path: PathBuf,
    /// Whether the file was found in a directory. Then it is skipped if it can't be read.
    is_optional: bool,
}

/// Reads the logs in `args` and prints their tasks. Returns whether the newest run of a task has
/// failed or was cancelled.
///
/// # Errors
///
/// [`ReportError`]. If a log on the command line can't be read, nothing is printed. If a log in a
/// directory can't be read, a warning is printed.
pub fn report(args: &ReportArgs) -> Result<bool, ReportError> {
    let now = Timestamp::now();
    let renderer = Renderer::new(Duration::from_secs(args.stale_after_seconds));
    let mut tasks = Tasks::default();
    for log in logs(&args.logs())? {
        match tasks.read(&log, now) {
            Err(error) if log.is_optional && !matches!(error, LogFileError::TooManyOpen(_)) => {
                eprintln!("warning: {}; skipped", plain(&error_chain(&error)));
            }
            result => result?,
        }
    }
    tasks.fold(now);
    tasks.warn_of_refused_ids();
    let tasks = tasks.into_list();
    let is_bad = |task: &Task| matches!(task.status, TaskStatus::Failed | TaskStatus::Cancelled);
    let has_failed = tasks.iter().any(|task| !task.is_earlier && is_bad(task));
    let mut output = io::stdout().lock();
    let written = if args.json {
        let mut page = renderer.all(&tasks, now);
        page.push(b'\n');
        output.write_all(&page)
    } else {
        let look = Look {
            has_full_reasons: true,
            ..Look::of_terminal(output.is_terminal())
        };
        let is_stale = |task: &Task| renderer.view(task, now).stale;
        write_table(&tasks, is_stale, look, &mut output)
    };
    written
        .and_then(|()| output.flush())
        .map_err(ReportError::Print)?;
    Ok(has_failed)
}

/// Writes a table of `tasks`, none of which is still running. `is_terminal` tells where to.
///
/// # Errors
///
/// The error of writing.
pub fn write_tasks(tasks: &[Task], is_terminal: bool, output: &mut dyn Write) -> io::Result<()> {
    write_table(tasks, |_| false, Look::of_terminal(is_terminal), output)
}

/// The logs on the command line, by format and then by log stream.
fn logs(args: &LogArgs) -> Result<Vec<Log>, LogFileError> {
    let mut logs = BTreeMap::new();
    let mut has_standard_input = false;
    for (format, path) in &args.logs {
        let is_directory = path.is_dir();
        let found = if path == Path::new("-") {
            if std::mem::replace(&mut has_standard_input, true) {
                return Err(LogFileError::StandardInputTwice);
            }
            vec![("stdin".to_owned(), path.clone())]
        } else if is_directory {
            find_logs(path).map_err(|source| LogFileError::unreadable(path, source))?
        } else {
            let stem = path.file_stem();
            let stem = stem.ok_or_else(|| LogFileError::Nameless(path.clone()))?;
            vec![(stem.to_string_lossy().into_owned(), path.clone())]
        };
        for (log_stream, path) in found {
            let log = Log {
                format: *format,
                log_stream: log_stream.clone(),
                path: path.clone(),
                is_optional: is_directory,
            };
            if let Some(first) = logs.insert((*format, log_stream.clone()), log) {
                return Err(LogFileError::SameStream {
                    log_stream,
                    first: first.path,
                    second: path,
                });
            }
        }
    }
    Ok(logs.into_values().collect())
}

/// The runs of the logs so far, by task.
#[derive(Default)]
struct Tasks {
    batch: Batch,
    runs: BTreeMap<TaskId, TaskRuns>,
    /// The task ids that the lines of each log name.
    named: BTreeMap<TaskOrigin, NamedIds>,
    refused: RefusedIds,
}

/// The runs of a task.
struct TaskRuns {
    origin: TaskOrigin,
    /// The facts about the runs that can still change.
    facts: FactLog,
    /// The final ones, oldest first.
    earlier: Vec<Task>,
}

impl Tasks {
    /// Reads one log to the end.
    fn read(&mut self, log: &Log, now: Timestamp) -> Result<(), LogFileError> {
        let unreadable = |source| LogFileError::unreadable(&log.path, source);
        if log.path == Path::new("-") {
            return self
                .read_lines(log, io::stdin().lock(), now, now)
                .map_err(unreadable);
        }
        let mut file = File::open(&log.path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        // The lines of a file are not newer than its last modification.
        let written_at = match metadata.modified() {
            Ok(modified) if metadata.is_file() => timestamp_of(modified).min(now),
            _ => now,
        };
        let mut first = Vec::new();
        let read = Read::by_ref(&mut file).take(2).read_to_end(&mut first);
        read.map_err(unreadable)?;
        if first == GZIP {
            return Err(LogFileError::Compressed(log.path.clone()));
        }
        self.read_lines(log, first.as_slice().chain(file), written_at, now)
            .map_err(unreadable)
    }

    /// Reads lines to the end. Lines before the first timestamp get `time`.
    fn read_lines(
        &mut self,
        log: &Log,
        mut input: impl Read,
        mut time: Timestamp,
        now: Timestamp,
    ) -> io::Result<()> {
        let log_group = log.format.file_log_group;
        let mut stream = FileStream {
            log_stream: &log.log_stream,
            epoch_ms: 0,
            encoding: Encoding::default(),
            read_at: now,
        };
        let mut buffer = Vec::new();
        let mut offset = 0;
        loop {
            let wanted = u64::try_from(READ_BYTES).unwrap_or(u64::MAX);
            let is_end = input.by_ref().take(wanted).read_to_end(&mut buffer)? < READ_BYTES;
            if offset == 0 {
                stream.encoding = Encoding::of(&buffer);
            }
            let mut lines = Lines::new(&buffer, stream.encoding, time, is_end);
            if offset == 0 {
                lines = lines.from_first_timestamp();
            }
            for line in lines.by_ref() {
                let start = u64::try_from(line.start).unwrap_or(u64::MAX);
                if let Some(event) = stream.event(offset + start, &line) {
                    self.batch.add(log.format, log_group, &event);
                    if self.batch.is_full() {
                        self.fold(now);
                    }
                }
            }
            time = lines.time();
            let read = lines.bytes_read();
            if is_end {
                break;
            }
            offset += u64::try_from(read).unwrap_or(u64::MAX);
            buffer.drain(..read);
        }
        Ok(())
    }

    /// Folds the facts of the batch.
    fn fold(&mut self, now: Timestamp) {
        let mut gathered = self.batch.take();
        for (origin, ids) in ids_by_stream(&gathered) {
            let named = self.named.entry(origin.clone()).or_default();
            let refused = named.admit(&ids, now).refused;
            move_to_stream(&mut gathered, &origin, &refused);
            self.refused.add(&origin, &refused);
        }
        for (target, facts) in gathered {
            if says_nothing(&facts) && self.named.contains_key(&target.origin) {
                continue; // the lines are about other tasks
            }
            let log_of = |id: &TaskId| self.runs.get(id).map(|known| (&known.origin).into());
            let task_id = target.choose(log_of);
            let task = self.runs.entry(task_id.clone());
            let task = task.or_insert_with(|| TaskRuns::new(target.origin));
            task.facts.add(facts);
            let settled = task.facts.compact(LATEST_FACTS, MOST_FACTS);
            task.keep(&task_id, settled);
        }
    }

    fn warn_of_refused_ids(&self) {
        for (origin, count) in self.refused.by_stream() {
            let log_stream = plain(&origin.log_stream);
            eprintln!(
                "warning: {log_stream} names more than {MOST_NAMED_IDS} task ids; the lines of \
                 {count} ids count for the task of the log"
            );
        }
    }

    /// All runs, the latest change first.
    fn into_list(self) -> Vec<Task> {
        let runs = self.runs.into_iter();
        let mut tasks: Vec<_> = runs
            .flat_map(|(task_id, runs)| runs.at_end_of_log(&task_id))
            .collect();
        let place = |task: &Task| (task.updated_at, task.run, task.task_id.clone());
        tasks.sort_by_cached_key(|task| std::cmp::Reverse(place(task)));
        tasks
    }
}

impl TaskRuns {
    fn new(origin: TaskOrigin) -> Self {
        Self {
            origin,
            facts: FactLog::default(),
            earlier: Vec::new(),
        }
    }

    /// Keeps the state of runs. Their names are those that the service would give.
    fn keep(&mut self, task_id: &TaskId, runs: Vec<Run>) {
        for run in runs {
            let before = self.earlier.last();
            let least = before.map(|before| before.run.after(Duration::from_millis(1)));
            let name = run.start.time();
            let name = least.map_or(name, |least| name.max(least));
            let origin = Some(&self.origin);
            let mut task = task_of_run(&run, name, task_id, origin, None);
            task.is_earlier = true;
            task.revision = Revision(1);
            self.earlier.push(task);
        }
    }

    /// All runs of a log that has ended.
    fn at_end_of_log(mut self, task_id: &TaskId) -> Vec<Task> {
        self.facts.end_of_log(false);
        self.keep(task_id, self.facts.runs());
        if let Some(newest) = self.earlier.last_mut() {
            newest.is_earlier = false;
        }
        self.earlier
    }
}

fn timestamp_of(time: SystemTime) -> Timestamp {
    let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}
