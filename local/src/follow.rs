//! Saves the new lines of the followed files.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use shared::batch::Batch;
use shared::error::error_chain;
use shared::ingest::{Ingest, IngestCounts, Pace};
use shared::model::{Task, TaskId, Timestamp};
use shared::record::TaskOrigin;
use shared::store::{StoreError, TaskStore};
use tokio::sync::mpsc;
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{error, warn};

use crate::followed_files::{Changes, FollowedFiles, Pipe, Turn};

/// The least time between two looks at changed files. A log that is written all the time is saved once in this time.
const LEAST_PAUSE: Duration = Duration::from_millis(20);
/// The least time between two looks at all files, for file systems that don't tell of changes.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// The least time between two searches for silent runs.
const SILENCE_INTERVAL: Duration = Duration::from_secs(10);
/// What goes over everything is followed by a pause of so many times its duration, so that each takes at most 0.7 % of a
/// core, however many files and tasks there are.
const PAUSE_FACTOR: u32 = 150;
/// The pauses after a failed save: the first one, and the longest.
const RETRY_PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// A pipe that has ended.
#[derive(Debug)]
pub(crate) struct EndedPipe {
    /// The name of its log stream.
    pub(crate) log_stream: String,
    /// The newest run of each of its tasks.
    pub(crate) tasks: Vec<Task>,
}

/// Saves what the followed files say.
pub(crate) struct Follower {
    pub(crate) ingest: Ingest,
    pub(crate) tasks: Arc<dyn TaskStore>,
    pub(crate) files: FollowedFiles,
    /// How long a run may be silent before it counts as ended.
    pub(crate) stale_after: Duration,
    /// Gets each pipe that has ended.
    pub(crate) ended: mpsc::UnboundedSender<EndedPipe>,
}

impl Follower {
    /// Saves new lines, and ends runs that are silent for long. Never returns.
    pub(crate) async fn follow(self) {
        let changes = self.files.changes();
        let following = Following {
            batch: Batch::default(),
            warned: BTreeSet::new(),
            pipe_tasks: BTreeSet::new(),
            search_silence_at: Instant::now() + SILENCE_INTERVAL,
            parts: self,
        };
        following.follow(&changes).await;
    }
}

struct Following {
    parts: Follower,
    /// It is kept, because its last lines explain failures that are read later.
    batch: Batch,
    /// The log streams that are known to name too many task ids.
    warned: BTreeSet<TaskOrigin>,
    /// The tasks that each pipe has reported.
    pipe_tasks: BTreeSet<(String, TaskId)>,
    search_silence_at: Instant,
}

/// When something that `began` and has ended now may begin again.
fn next_after(began: Instant, least: Duration) -> Instant {
    let pause = began.elapsed() * PAUSE_FACTOR;
    Instant::now() + pause.max(least)
}

impl Following {
    async fn follow(mut self, changes: &Changes) {
        let mut look_at = Instant::now();
        loop {
            let begun = Instant::now();
            let turn = block_in_place(|| {
                let files = &mut self.parts.files;
                if begun >= look_at {
                    files.look_at_all();
                    look_at = next_after(begun, LOOK_INTERVAL);
                } else {
                    files.look_at_changes();
                }
                files.read(Timestamp::now())
            });
            self.save(&turn).await;
            if let Some(pipe) = turn.pipe.filter(|pipe| pipe.is_at_end) {
                self.end(pipe).await;
            }
            self.end_silent_runs().await;
            if !self.parts.files.has_more() {
                tokio::select! {
                    () = changes.wait() => {}
                    () = sleep_until(look_at) => {}
                }
                sleep_until(begun + LEAST_PAUSE).await;
            }
        }
    }

    /// Saves the lines of a turn. Tries again until it can, however long that takes.
    async fn save(&mut self, turn: &Turn) {
        if turn.lines.is_empty() {
            return;
        }
        let mut counts = IngestCounts::default();
        let mut retry = Retry::default();
        while let Err(failure) = self.try_save(turn, &mut counts).await {
            retry.pause(&failure, "can't save new log lines").await;
        }
        for (origin, task_ids) in counts.ids_refused.by_stream() {
            if self.warned.insert(origin.clone()) {
                warn!(
                    log_stream = origin.log_stream,
                    task_ids,
                    "a log names too many task ids: these lines count for the task of the log"
                );
            }
        }
        if let Some(pipe) = &turn.pipe {
            let saved = counts.saved.into_iter();
            let saved = saved.map(|saved| (pipe.log_stream.clone(), saved.run_id.task_id));
            self.pipe_tasks.extend(saved);
        }
    }

    async fn try_save(&mut self, turn: &Turn, counts: &mut IngestCounts) -> Result<(), StoreError> {
        let ingest = &self.parts.ingest;
        for (format, line) in &turn.lines {
            let (log_group, event) = (format.file_log_group, &line.event);
            if line.is_restart {
                self.batch.restart(*format, log_group, event);
            }
            if line.is_again {
                self.batch.add_again(*format, log_group, event);
            } else {
                self.batch.add(*format, log_group, event);
            }
            if self.batch.is_full() {
                let now = Timestamp::now();
                ingest
                    .save(&mut self.batch, Pace::ALWAYS, now, counts)
                    .await?;
            }
        }
        let now = Timestamp::now();
        ingest
            .save(&mut self.batch, Pace::ALWAYS, now, counts)
            .await
    }

    /// Ends the runs of a pipe.
    async fn end(&mut self, pipe: Pipe) {
        let of_pipe = |(log_stream, _): &(String, TaskId)| *log_stream == pipe.log_stream;
        let task_ids = self.pipe_tasks.iter().filter(|task| of_pipe(task));
        let task_ids: Vec<_> = task_ids.map(|(_, task_id)| task_id.clone()).collect();
        let mut retry = Retry::default();
        let tasks = loop {
            match self.try_end(&task_ids).await {
                Ok(tasks) => break tasks,
                Err(failure) => {
                    retry
                        .pause(&failure, "can't save the end of the input")
                        .await
                }
            }
        };
        let log_stream = pipe.log_stream;
        // Nobody may be listening: the program is about to end.
        drop(self.parts.ended.send(EndedPipe { log_stream, tasks }));
    }

    /// Ends the newest runs of these tasks, and returns them.
    async fn try_end(&self, task_ids: &[TaskId]) -> Result<Vec<Task>, StoreError> {
        let mut counts = IngestCounts::default();
        for task_id in task_ids {
            let ended = self
                .parts
                .ingest
                .end_of_log(task_id, Timestamp::now(), &mut counts);
            ended.await?;
        }
        let records = self.parts.tasks.fetch_records(task_ids).await?;
        let newest = records.iter().filter_map(|record| record.live());
        Ok(newest.cloned().collect())
    }

    async fn end_silent_runs(&mut self) {
        let began = Instant::now();
        if began < self.search_silence_at {
            return;
        }
        let now = Timestamp::now();
        let since = now.before(self.parts.stale_after);
        let mut counts = IngestCounts::default();
        let ingest = &self.parts.ingest;
        let ended = ingest.end_silent_runs(since, now, None, &mut counts);
        if let Err(failure) = ended.await {
            error!(error = error_chain(&failure), "can't end silent runs");
        }
        self.search_silence_at = next_after(began, SILENCE_INTERVAL);
    }
}

/// The attempts at one save.
#[derive(Debug, Default)]
struct Retry {
    pause: Duration,
    last_error: Option<String>,
}

impl Retry {
    /// Logs the failure, if it is another one than before, and waits.
    async fn pause(&mut self, failure: &StoreError, what: &'static str) {
        let text = error_chain(failure);
        if self.last_error.as_ref() != Some(&text) {
            error!(error = text, "{what}: trying again");
        }
        self.last_error = Some(text);
        let (first, longest) = RETRY_PAUSES;
        self.pause = (self.pause * 2).clamp(first, longest);
        sleep(self.pause).await;
    }
}
