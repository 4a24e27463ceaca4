//! The one way in which log lines become stored tasks: gather, read, fold, save, refresh the cache.
//!
//! The order of writes is DynamoDB, then Redis. An interrupted ingest can be repeated: saving the
//! same lines again changes nothing.

mod project_matcher;

use std::slice;
use std::sync::Arc;

use futures::{StreamExt, stream};
use tracing::error;

use self::project_matcher::ProjectMatcher;
use crate::batch::{Batch, Target};
use crate::error::error_chain;
use crate::fault_point::FaultPoint;
use crate::fold::{FoldedTask, Ledger, TaskOrigin, fold_into_task};
use crate::model::{Task, TaskId, Timestamp};
use crate::retry::{ConflictPolicy, retry_on_conflict};
use crate::store::{ProjectStore, StoreError, TaskRecord, TaskStore};
use crate::task_reader::WriteThrough;

/// The number of tasks that are saved at the same time. More would only queue at the store.
const CONCURRENT_SAVES: usize = 8;
/// The number of targets that are read in one request. Each has up to three candidates with a head
/// and a ledger each, and a `BatchGetItem` takes 100 keys.
const TASKS_PER_READ: usize = 16;

/// The outcome of saving a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IngestCounts {
    /// Tasks written.
    pub tasks_changed: u64,
    /// Tasks that can never be saved: their stored items are damaged, or the store refuses them.
    /// The log names each.
    pub tasks_refused: u64,
    /// Failed writes to the cache.
    pub cache_errors: u64,
}

/// Saves batches of ledgers as tasks.
pub struct Ingest {
    tasks: Arc<dyn TaskStore>,
    project_matcher: ProjectMatcher,
    write_through: WriteThrough,
}

/// The stored records that a part of a batch may belong to.
#[derive(Default)]
struct StoredRecords {
    readable: Vec<TaskRecord>,
    /// Tasks whose items are damaged.
    unreadable: Vec<TaskId>,
}

/// The ledgers of one task, each with the origin of its lines.
type TaskLedgers<'a> = Vec<(&'a Target, &'a Ledger)>;

/// The next stored state of a task.
enum NextState {
    /// The task, with its ledger.
    Live(Box<Task>, Ledger),
    /// The ledger alone: the task was deleted, and its logs show no later run yet. If the store has
    /// the task again, it is deleted again.
    Deleted(Ledger),
}

/// A task in its stored state after it was saved.
struct SavedTask {
    task: Task,
    /// Whether it was written; `false` if nothing had changed.
    is_written: bool,
}

impl Ingest {
    /// Creates an ingest that writes to `tasks`, finds projects in `projects`, and updates the
    /// cache through `write_through`.
    pub fn new(
        tasks: Arc<dyn TaskStore>,
        projects: Arc<dyn ProjectStore>,
        write_through: WriteThrough,
    ) -> Self {
        Self {
            tasks,
            project_matcher: ProjectMatcher::new(projects),
            write_through,
        }
    }

    /// Saves all ledgers of `batch` and leaves the batch empty.
    ///
    /// A task that can never be saved is logged and counted. The other tasks are still saved.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] that a later attempt may not meet. Everything else was saved.
    pub async fn save(
        &self,
        batch: &mut Batch,
        now: Timestamp,
        counts: &mut IngestCounts,
    ) -> Result<(), StoreError> {
        let gathered: Vec<_> = batch.take().into_iter().collect();
        let mut outcome = Ok(());
        for portion in gathered.chunks(TASKS_PER_READ) {
            outcome = outcome.and(self.save_portion(portion, now, counts).await);
        }
        outcome
    }

    async fn save_portion(
        &self,
        portion: &[(Target, Ledger)],
        now: Timestamp,
        counts: &mut IngestCounts,
    ) -> Result<(), StoreError> {
        let targets: Vec<_> = portion
            .iter()
            .map(|(target, ledger)| (target, target.candidates(), ledger))
            .collect();
        let all_candidates = targets.iter().flat_map(|(_, candidates, _)| candidates);
        let task_ids = deduplicated(all_candidates.cloned().collect());
        let stored = self.read(&task_ids).await?;
        FaultPoint::TasksRead.reach();
        // Two targets may be one task: the task of a stream, and a task that a line names. Their
        // ledgers are saved together.
        let mut by_task: Vec<(TaskId, TaskLedgers<'_>)> = Vec::new();
        for (target, candidates, ledger) in targets {
            if candidates.iter().any(|id| stored.unreadable.contains(id)) {
                counts.tasks_refused += 1;
                continue;
            }
            let Some(task_id) = stored.first_existing(candidates) else {
                continue; // a target has at least one candidate
            };
            match by_task.iter_mut().find(|(known, _)| *known == task_id) {
                Some((_, ledgers)) => ledgers.push((target, ledger)),
                None => by_task.push((task_id, vec![(target, ledger)])),
            }
        }
        let saves = by_task.into_iter().map(|(task_id, ledgers)| {
            let mut records = stored.readable.iter();
            let record = records.find(|record| record.task_id == task_id);
            self.save_task(task_id, ledgers, record.cloned())
        });
        let saves: Vec<_> = stream::iter(saves)
            .buffer_unordered(CONCURRENT_SAVES)
            .collect()
            .await;

        let mut outcome = Ok(());
        let mut saved: Vec<SavedTask> = Vec::new();
        for save in saves {
            match save {
                Ok(task) => saved.extend(task),
                Err(error @ (StoreError::Refused { .. } | StoreError::Corrupt { .. })) => {
                    counts.tasks_refused += 1;
                    error!(error = error_chain(&error), "a task can't be saved");
                }
                Err(error) => outcome = Err(error),
            }
        }
        self.refresh_cache(&saved, now, counts).await;
        outcome
    }

    /// Reads records. A damaged record does not hide the others.
    async fn read(&self, task_ids: &[TaskId]) -> Result<StoredRecords, StoreError> {
        let mut records = StoredRecords::default();
        match self.tasks.fetch_records(task_ids).await {
            Ok(readable) => records.readable = readable,
            Err(StoreError::Corrupt { .. }) => {
                for task_id in task_ids {
                    match self.tasks.fetch_records(slice::from_ref(task_id)).await {
                        Ok(readable) => records.readable.extend(readable),
                        Err(error @ StoreError::Corrupt { .. }) => {
                            error!(error = error_chain(&error), "a task can't be read");
                            records.unreadable.push(task_id.clone());
                        }
                        Err(error) => return Err(error),
                    }
                }
            }
            Err(error) => return Err(error),
        }
        Ok(records)
    }

    /// Merges the ledgers of one task into the stored ledger, and writes the task if anything
    /// changed. After a conflict it reads and merges again, so no writer's lines are lost.
    async fn save_task(
        &self,
        task_id: TaskId,
        ledgers: TaskLedgers<'_>,
        stored: Option<TaskRecord>,
    ) -> Result<Option<SavedTask>, StoreError> {
        let (task_id, ledgers) = (&task_id, &ledgers);
        let mut first_read = Some(stored);
        let step = || {
            let first_read = first_read.take();
            async move {
                let stored = match first_read {
                    Some(stored) => stored,
                    None => {
                        FaultPoint::RaceLost.reach();
                        let read_again = slice::from_ref(task_id);
                        self.tasks.fetch_records(read_again).await?.pop()
                    }
                };
                self.save_on_top_of(stored, task_id, ledgers).await
            }
        };
        let is_conflict = |error: &StoreError| matches!(error, StoreError::Conflict(_));
        retry_on_conflict(ConflictPolicy::INGEST, step, is_conflict).await
    }

    async fn save_on_top_of(
        &self,
        stored: Option<TaskRecord>,
        task_id: &TaskId,
        ledgers: &TaskLedgers<'_>,
    ) -> Result<Option<SavedTask>, StoreError> {
        let next = self.next_state(task_id, ledgers, stored.as_ref()).await?;
        let Some(next) = next else {
            let unchanged = stored.and_then(|record| record.task);
            return Ok(unchanged.map(|task| SavedTask {
                task,
                is_written: false,
            }));
        };
        let previous = stored.as_ref().and_then(|record| record.task.as_ref());
        FaultPoint::BeforeTask.reach();
        match next {
            NextState::Live(task, ledger) => {
                self.tasks.save(previous, &task, Some(&ledger)).await?;
                FaultPoint::AfterTask.reach();
                Ok(Some(SavedTask {
                    task: *task,
                    is_written: true,
                }))
            }
            NextState::Deleted(ledger) => {
                let deletion = match previous {
                    Some(previous) => self.tasks.delete(previous, &ledger).await,
                    None => self.tasks.save_deleted(task_id, &ledger).await,
                };
                if deletion.is_ok() {
                    FaultPoint::AfterTask.reach();
                }
                // The store may have deleted the task even if it reports an error.
                if let Some(previous) = previous {
                    self.write_through.task_deleted(previous).await;
                }
                deletion.map(|()| None)
            }
        }
    }

    /// Computes the next stored state; `None` if nothing changes.
    async fn next_state(
        &self,
        task_id: &TaskId,
        ledgers: &TaskLedgers<'_>,
        stored: Option<&TaskRecord>,
    ) -> Result<Option<NextState>, StoreError> {
        let mut ledger = stored
            .map(|record| record.ledger.clone())
            .unwrap_or_default();
        let previous = stored.and_then(|record| record.task.as_ref());
        let adopted = previous.filter(|_| ledger.is_empty());
        for (_, gathered) in ledgers {
            ledger.merge((*gathered).clone());
        }
        if let Some(adopted) = adopted {
            ledger.adopt(adopted);
        }
        ledger.trim();
        if stored.is_some_and(|record| record.ledger == ledger) {
            return Ok(None);
        }
        let Some(origin) = origin_of(previous, ledgers) else {
            return Ok(None);
        };
        let folded = fold_into_task(task_id, &origin, previous, &ledger);
        let is_deleted = match previous {
            Some(_) => folded == FoldedTask::Deleted,
            None => stored.is_some(),
        };
        let Some(mut next) = folded.live() else {
            if let Some(previous) = previous {
                ledger.delete_again(previous);
            }
            return Ok(is_deleted.then_some(NextState::Deleted(ledger)));
        };
        if next.project_id.is_none() {
            next.project_id = self.project_matcher.project_of(&next).await?;
        }
        // The usual duration is read once: when a run is new, or when its name has changed.
        let is_same_run = |previous: &Task| {
            previous.run == next.run
                && previous.task_name == next.task_name
                && previous.started_at.is_some()
        };
        if !next.status.is_terminal() && !previous.is_some_and(is_same_run) {
            next.usual_duration_ms = self.tasks.usual_duration_ms(&next).await?;
        }
        Ok(Some(NextState::Live(Box::new(next), ledger)))
    }

    async fn refresh_cache(&self, saved: &[SavedTask], now: Timestamp, counts: &mut IngestCounts) {
        let (written, unchanged): (Vec<_>, Vec<_>) =
            saved.iter().partition(|saved| saved.is_written);
        let written: Vec<&Task> = written.iter().map(|saved| &saved.task).collect();
        let unchanged: Vec<&Task> = unchanged.iter().map(|saved| &saved.task).collect();
        FaultPoint::BeforeCache.reach();
        let mut cache_errors = self.write_through.tasks_saved(&written, now).await;
        cache_errors += self.write_through.tasks_unchanged(&unchanged, now).await;
        FaultPoint::AfterCache.reach();
        counts.cache_errors += u64::try_from(cache_errors).unwrap_or(u64::MAX);
        counts.tasks_changed += u64::try_from(written.len()).unwrap_or(u64::MAX);
    }
}

impl StoredRecords {
    /// The first of `candidates` that exists, or else the last one.
    fn first_existing(&self, mut candidates: Vec<TaskId>) -> Option<TaskId> {
        let exists = |id: &TaskId| self.readable.iter().any(|record| record.task_id == *id);
        match candidates.iter().position(exists) {
            Some(first) => Some(candidates.swap_remove(first)),
            None => candidates.pop(),
        }
    }
}

/// The origin of a task: the stream that first reported it. Otherwise two streams would take turns.
fn origin_of(previous: Option<&Task>, ledgers: &TaskLedgers<'_>) -> Option<TaskOrigin> {
    let origin = ledgers.first().map(|(target, _)| target.origin.clone())?;
    let known = previous.and_then(|task| task.log_group.clone().zip(task.log_stream.clone()));
    Some(match known {
        Some((log_group, log_stream)) => TaskOrigin {
            log_group,
            log_stream,
            ..origin
        },
        None => origin,
    })
}

fn deduplicated(mut task_ids: Vec<TaskId>) -> Vec<TaskId> {
    task_ids.sort_unstable();
    task_ids.dedup();
    task_ids
}
