//! The one way in which log lines become stored tasks: gather, read, fold, save, refresh the cache.
//!
//! The order of writes is DynamoDB, then Redis. An interrupted ingest can be repeated: saving the
//! same lines again changes nothing.

mod id_limit;
mod project_matcher;
mod silence;

use std::slice;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt, stream};
use tokio::time::Instant;
use tracing::error;

use self::id_limit::IdLimit;
use self::project_matcher::ProjectMatcher;
use crate::batch::named_ids::RefusedIds;
use crate::batch::{Batch, KnownLog, Target, says_nothing};
use crate::error::error_chain;
use crate::fault_point::FaultPoint;
use crate::fold::{Fact, KeyedFact, SessionKey, are_neutral};
use crate::model::{Revision, RunId, Task, TaskId, Timestamp};
use crate::record::{HeadState, Outcome, TaskChange, TaskOrigin, TaskRecord};
use crate::retry::{ConflictPolicy, retry_on_conflict};
use crate::store::{ProjectStore, StoreError, TaskStore};
use crate::task_reader::WriteThrough;

/// The number of tasks that are saved at the same time. More would only queue at the store.
const CONCURRENT_SAVES: usize = 8;
/// The number of targets that are read at the same time. Each has up to four candidates, and a
/// `BatchGetItem` takes 100 keys.
const TASKS_PER_READ: usize = 16;

/// The outcome of saving a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IngestCounts {
    /// Tasks written.
    pub tasks_changed: u64,
    /// Tasks that can never be saved: their stored items are damaged, or the store refuses them.
    /// The log names each.
    pub tasks_refused: u64,
    /// Task ids beyond the limit of their log streams. Their lines count for the tasks of the
    /// streams.
    pub ids_refused: RefusedIds,
    /// Failed writes to the cache.
    pub cache_errors: u64,
    /// The runs that were written, the newest of each task last.
    pub saved: Vec<SavedRun>,
}

/// A run that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedRun {
    /// Its id.
    pub run_id: RunId,
    /// The number of its writes.
    pub revision: Revision,
    /// The session that it is.
    pub session: Option<SessionKey>,
}

impl SavedRun {
    fn of(change: &TaskChange) -> impl Iterator<Item = Self> {
        let heads = change.heads.iter().rev();
        heads.filter_map(|head| {
            let task = head.next.live()?;
            Some(Self {
                run_id: task.run_id(),
                revision: task.revision,
                session: head.session,
            })
        })
    }
}

/// Saves batches of facts as tasks.
pub struct Ingest {
    tasks: Arc<dyn TaskStore>,
    id_limit: IdLimit,
    project_matcher: ProjectMatcher,
    write_through: WriteThrough,
    silent_runs: silence::Position,
}

/// How often lines that say nothing are saved: at most once in this time for each task. Many logs
/// that chat would otherwise cost a write every few seconds each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace(Duration);

impl Pace {
    /// Whenever they come.
    pub const ALWAYS: Self = Self(Duration::ZERO);
    /// Every five seconds, so that people see that a run is alive.
    pub const LIVE: Self = Self(Duration::from_secs(5));
    /// Every minute: they will be read again.
    pub const SPARSE: Self = Self(Duration::from_secs(60));
}

/// The stored records that a part of a batch may belong to.
#[derive(Default)]
struct StoredRecords {
    readable: Vec<TaskRecord>,
    /// Tasks whose items are damaged.
    unreadable: Vec<TaskId>,
}

/// The facts of one task, each with the origin of its lines.
type TaskFacts<'a> = Vec<(&'a Target, &'a [KeyedFact])>;

impl Ingest {
    /// Creates an ingest that writes to `tasks`, finds projects in `projects`, and updates the
    /// cache through `write_through`.
    pub fn new(
        tasks: Arc<dyn TaskStore>,
        projects: Arc<dyn ProjectStore>,
        write_through: WriteThrough,
    ) -> Self {
        Self {
            id_limit: IdLimit::new(Arc::clone(&tasks)),
            tasks,
            project_matcher: ProjectMatcher::new(projects),
            write_through,
            silent_runs: silence::Position::default(),
        }
    }

    /// Saves all facts of `batch` and leaves the batch empty.
    ///
    /// A task that can never be saved is logged and counted. The other tasks are still saved.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] that a later attempt may not meet. Everything else was saved.
    pub async fn save(
        &self,
        batch: &mut Batch,
        pace: Pace,
        now: Timestamp,
        counts: &mut IngestCounts,
    ) -> Result<(), StoreError> {
        let mut gathered = batch.take();
        let mut outcome = self.id_limit.apply(&mut gathered, now, counts).await;
        let gathered: Vec<_> = gathered.into_iter().collect();
        for portion in gathered.chunks(TASKS_PER_READ) {
            outcome = outcome.and(self.save_portion(portion, pace, now, counts).await);
        }
        outcome
    }

    async fn save_portion(
        &self,
        portion: &[(Target, Vec<KeyedFact>)],
        pace: Pace,
        now: Timestamp,
        counts: &mut IngestCounts,
    ) -> Result<(), StoreError> {
        let begun = Instant::now();
        let candidates = portion.iter().flat_map(|(target, _)| target.candidates());
        let stored = self.read(&deduplicated(candidates.collect())).await?;
        FaultPoint::TasksRead.reach();
        // Two targets may be one task: the task of a stream, and a task that a line names. Their
        // facts are saved together.
        let mut by_task: Vec<(TaskId, TaskFacts<'_>)> = Vec::new();
        for (target, facts) in portion {
            let candidates = target.candidates();
            if candidates.iter().any(|id| stored.unreadable.contains(id)) {
                counts.tasks_refused += 1;
                continue;
            }
            let task_id = target.choose(|id| {
                let claimed = by_task.iter().find(|(known, _)| known == id);
                let claimed = claimed.and_then(|(_, facts)| facts.first());
                let claimed = claimed.map(|(target, _)| KnownLog::from(&target.origin));
                stored.log_of(id).or(claimed)
            });
            if says_nothing(facts) {
                let stored = stored.record(&task_id);
                let is_early = || stored.is_some_and(|record| is_early(record, facts, pace));
                let is_known = stored.is_some_and(|record| record.live().is_some());
                // The lines of a stream that names tasks are about those.
                let is_own = target.named.is_none();
                if pace != Pace::ALWAYS && is_early()
                    || is_own && !is_known && self.id_limit.has_ids(&target.origin).await?
                {
                    continue;
                }
            }
            match by_task.iter_mut().find(|(known, _)| *known == task_id) {
                Some((_, all)) => all.push((target, facts)),
                None => by_task.push((task_id, vec![(target, facts)])),
            }
        }
        let mut saves = Vec::new();
        for (task_id, facts) in by_task {
            let record = stored.record(&task_id).cloned();
            saves.push(self.save_task(task_id, facts, record, now).boxed());
        }
        let saves: Vec<_> = stream::iter(saves)
            .buffer_unordered(CONCURRENT_SAVES)
            .collect()
            .await;

        let mut outcome = Ok(());
        let mut saved: Vec<TaskChange> = Vec::new();
        for save in saves {
            match save {
                Ok(changes) => {
                    counts.tasks_changed += u64::from(!changes.is_empty());
                    saved.extend(changes);
                }
                Err(error @ (StoreError::Refused { .. } | StoreError::Corrupt { .. })) => {
                    counts.tasks_refused += 1;
                    error!(error = error_chain(&error), "a task can't be saved");
                }
                Err(error) => outcome = Err(error),
            }
        }
        counts.saved.extend(saved.iter().flat_map(SavedRun::of));
        FaultPoint::BeforeCache.reach();
        let saved: Vec<&TaskChange> = saved.iter().collect();
        let cache_errors = self.write_through.saved(&saved, begun, now).await;
        FaultPoint::AfterCache.reach();
        counts.cache_errors += u64::try_from(cache_errors).unwrap_or(u64::MAX);
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

    /// Adds the facts of one task to the stored ones, and writes what changes. After a conflict it
    /// reads and adds again, so no writer's lines are lost. Returns what was written, in one or more
    /// changes.
    async fn save_task(
        &self,
        task_id: TaskId,
        facts: TaskFacts<'_>,
        stored: Option<TaskRecord>,
        now: Timestamp,
    ) -> Result<Vec<TaskChange>, StoreError> {
        let Some((target, _)) = facts.first() else {
            return Ok(Vec::new());
        };
        let facts = facts.iter().flat_map(|(_, facts)| *facts);
        let mut facts: Vec<KeyedFact> = facts.cloned().collect();
        let mut written = Vec::new();
        let mut first_read = Some(stored.unwrap_or_else(|| TaskRecord::new(task_id)));
        loop {
            let left = &facts;
            let step = || {
                let first_read = first_read.take();
                async move {
                    let record = match first_read {
                        Some(record) => record,
                        None => self.read_again(target).await?,
                    };
                    let facts = left.clone();
                    self.save_on_top_of(&record, facts, &target.origin, now)
                        .await
                }
            };
            let is_conflict = |error: &StoreError| matches!(error, StoreError::Conflict(_));
            let saved = retry_on_conflict(ConflictPolicy::INGEST, step, is_conflict).await?;
            match saved {
                Outcome::Changed { change, rest } if !rest.is_empty() => {
                    written.push(*change);
                    facts = rest;
                }
                Outcome::Changed { change, .. } => {
                    written.push(*change);
                    return Ok(written);
                }
                Outcome::Unchanged => return Ok(written),
            }
        }
    }

    /// Reads the record of a target after another writer has changed it. Its task may be another
    /// one now: the other writer may have created a task with the same id for another log.
    async fn read_again(&self, target: &Target) -> Result<TaskRecord, StoreError> {
        FaultPoint::RaceLost.reach();
        let stored = StoredRecords {
            readable: self.tasks.fetch_records(&target.candidates()).await?,
            unreadable: Vec::new(),
        };
        let task_id = target.choose(|id| stored.log_of(id));
        let record = stored.record(&task_id).cloned();
        Ok(record.unwrap_or_else(|| TaskRecord::new(task_id)))
    }

    async fn save_on_top_of(
        &self,
        record: &TaskRecord,
        facts: Vec<KeyedFact>,
        origin: &TaskOrigin,
        now: Timestamp,
    ) -> Result<Outcome, StoreError> {
        let mut outcome = record.add_lines(facts, origin, now);
        if let Outcome::Changed { change, .. } = &mut outcome {
            self.complete(change).await?;
            FaultPoint::BeforeTask.reach();
            self.tasks.save(change).await?;
            FaultPoint::AfterTask.reach();
        }
        Ok(outcome)
    }

    /// Adds what only the store knows: the project of a run whose log names none, and the usual
    /// duration of a run that is new or has a new name.
    async fn complete(&self, change: &mut TaskChange) -> Result<(), StoreError> {
        for head in &mut change.heads {
            if head.next.state != HeadState::Live {
                continue;
            }
            let next = &mut head.next.task;
            if next.project_id.is_none() {
                next.project_id = self.project_matcher.project_of(next).await?;
            }
            let is_known =
                |before: &Task| before.task_name == next.task_name && before.started_at.is_some();
            if !next.status.is_terminal() && !head.before.as_ref().is_some_and(is_known) {
                next.usual_duration_ms = self.tasks.usual_duration_ms(next).await?;
            }
        }
        Ok(())
    }
}

impl StoredRecords {
    fn record(&self, task_id: &TaskId) -> Option<&TaskRecord> {
        let mut records = self.readable.iter();
        records.find(|record| record.task_id == *task_id)
    }

    /// The log of a stored task; `None` if the task is not stored.
    fn log_of(&self, task_id: &TaskId) -> Option<KnownLog<'_>> {
        let newest = self.record(task_id)?.newest.as_ref()?;
        Some(KnownLog::of(&newest.task))
    }
}

/// Whether lines that say nothing come too early after the last ones that were saved, and don't tell
/// how the run might have ended.
fn is_early(record: &TaskRecord, facts: &[KeyedFact], pace: Pace) -> bool {
    let Some(task) = record.live() else {
        return false;
    };
    let next = task.updated_at.after(pace.0);
    facts.iter().all(|(_, fact)| match fact {
        Fact::Lines(lines) => {
            let newest = lines.newest();
            newest.is_none_or(|newest| newest.time() < next) && are_neutral(lines)
        }
        _ => false,
    })
}

fn deduplicated(mut task_ids: Vec<TaskId>) -> Vec<TaskId> {
    task_ids.sort_unstable();
    task_ids.dedup();
    task_ids
}
