//! Writing what a batch says: DynamoDB first, then Redis.

use std::slice;
use std::time::Duration;

use futures::{StreamExt, stream};
use shared::error::error_chain;
use shared::fold::{Ledger, TaskOrigin, fold_into_task, tells_of_deleted};
use shared::log_parser::LogKind;
use shared::model::{Task, TaskId, Timestamp};
use shared::store::{StoreError, TaskRecord};
use shared::task_reader::SavedTask;
use tracing::error;

use crate::batch::{Batch, Target};
use crate::collector::Collector;
use crate::fault_point::FaultPoint;
use crate::summary::GroupSummary;

/// Tasks saved side by side. More would only queue up at the store.
const CONCURRENT_SAVES: usize = 8;
/// Tasks read in one request: three candidates each must fit the 100 keys of a `BatchGetItem`, heads and
/// ledgers apart.
const TASKS_PER_READ: usize = 16;
/// How often a write is tried against faster writers before the invocation gives up.
const CONFLICT_ATTEMPTS: u32 = 12;
/// The wait after the first lost race, which grows with each further one.
const CONFLICT_WAIT: Duration = Duration::from_millis(5);

/// What is stored of some tasks.
#[derive(Default)]
struct Records {
    readable: Vec<TaskRecord>,
    /// Tasks whose items are damaged.
    unreadable: Vec<TaskId>,
}

impl Records {
    /// Whether it can't be told what is stored of a target.
    fn are_unreadable(&self, target: &Target) -> bool {
        let candidates = target.candidates();
        candidates
            .iter()
            .any(|task_id| self.unreadable.contains(task_id))
    }
}

/// What is to be stored of a task.
enum Next {
    /// Its next state, with the ledger that it is made of.
    Task(Box<Task>, Ledger),
    /// The ledger alone: the task was deleted, and no later run is known yet. What was taken for one may be stored.
    Deleted(Ledger),
}

/// A task as the store has it now.
struct Saved {
    task: Task,
    /// As it was before it was written; `None` if it is new, or was not written.
    previous: Option<Task>,
    /// Whether it had to be written.
    is_written: bool,
}

impl Collector {
    /// Saves all that `batch` has gathered, and leaves it empty.
    ///
    /// A task that can't be saved whatever is tried is counted and logged, and keeps nobody else from being
    /// saved. What may pass ends in an error, after all else was saved.
    pub(crate) async fn save(
        &self,
        batch: &mut Batch,
        now: Timestamp,
        summary: &mut GroupSummary,
    ) -> Result<(), StoreError> {
        let gathered = batch.take();
        let mut outcome = Ok(());
        for portion in gathered.chunks(TASKS_PER_READ) {
            outcome = outcome.and(self.save_portion(portion, now, summary).await);
        }
        outcome
    }

    async fn save_portion(
        &self,
        portion: &[(Target, Ledger)],
        now: Timestamp,
        summary: &mut GroupSummary,
    ) -> Result<(), StoreError> {
        let candidates = portion.iter().flat_map(|(target, _)| target.candidates());
        let records = self.read(&deduplicated(candidates.collect())).await?;
        FaultPoint::TasksRead.reach();
        // Two targets may be one task (a stream's, and one that a line names): in turn, not at once.
        let mut by_task: Vec<(TaskId, Vec<&(Target, Ledger)>)> = Vec::new();
        for gathered in portion {
            if records.are_unreadable(&gathered.0) {
                summary.tasks_refused += 1;
                continue;
            }
            let task_id = gathered.0.resolve(&records.readable);
            match by_task.iter_mut().find(|(known, _)| *known == task_id) {
                Some((_, of_task)) => of_task.push(gathered),
                None => by_task.push((task_id, vec![gathered])),
            }
        }
        let saves = by_task.into_iter().map(|(task_id, gathered)| {
            let mut stored = records.readable.iter();
            let stored = stored.find(|record| record.task_id == task_id).cloned();
            self.save_task(task_id, gathered, stored)
        });
        let saves: Vec<_> = stream::iter(saves)
            .buffer_unordered(CONCURRENT_SAVES)
            .collect()
            .await;

        let mut outcome = Ok(());
        let mut saved: Vec<Saved> = Vec::new();
        for save in saves {
            match save {
                Ok(task) => saved.extend(task),
                Err(error @ (StoreError::Refused { .. } | StoreError::Corrupt { .. })) => {
                    summary.tasks_refused += 1;
                    error!(error = error_chain(&error), "a task can't be saved");
                }
                Err(error) => outcome = Err(error),
            }
        }
        let (written, unchanged): (Vec<_>, Vec<_>) =
            saved.iter().partition(|saved| saved.is_written);
        let told = written.iter().map(|saved| SavedTask {
            previous: saved.previous.as_ref(),
            next: &saved.task,
        });
        let told: Vec<_> = told.collect();
        let unchanged: Vec<_> = unchanged.iter().map(|saved| &saved.task).collect();
        FaultPoint::BeforeCache.reach();
        let mut cache_errors = self.write_through.tasks_saved(&told, now).await;
        cache_errors += self.write_through.tasks_unchanged(&unchanged, now).await;
        FaultPoint::AfterCache.reach();
        summary.cache_errors += u64::try_from(cache_errors).unwrap_or(u64::MAX);
        summary.tasks_changed += u64::try_from(written.len()).unwrap_or(u64::MAX);
        outcome
    }

    /// Reads records; one that is damaged does not hide the others.
    async fn read(&self, task_ids: &[TaskId]) -> Result<Records, StoreError> {
        let mut records = Records::default();
        match self.parts.tasks.fetch_records(task_ids).await {
            Ok(readable) => records.readable = readable,
            Err(StoreError::Corrupt { .. }) => {
                for task_id in task_ids {
                    match self
                        .parts
                        .tasks
                        .fetch_records(slice::from_ref(task_id))
                        .await
                    {
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

    /// Joins what was gathered of one task with what is stored, and writes it if that is news. Who loses a
    /// race reads again and joins again: nobody's lines are lost.
    async fn save_task(
        &self,
        task_id: TaskId,
        gathered: Vec<&(Target, Ledger)>,
        mut stored: Option<TaskRecord>,
    ) -> Result<Option<Saved>, StoreError> {
        let mut attempt = 1;
        loop {
            let next = self.next_state(&task_id, &gathered, stored.as_ref());
            let Some(next) = next.await? else {
                let stored = stored.and_then(|record| record.task);
                return Ok(stored.map(|task| Saved {
                    task,
                    previous: None,
                    is_written: false,
                }));
            };
            let previous = stored.as_ref().and_then(|record| record.task.as_ref());
            FaultPoint::BeforeTask.reach();
            let tasks = &self.parts.tasks;
            let save = match (&next, previous) {
                (Next::Task(task, ledger), _) => tasks.save(previous, task, Some(ledger)),
                (Next::Deleted(ledger), Some(previous)) => tasks.delete(previous, ledger),
                (Next::Deleted(ledger), None) => tasks.save_deleted(&task_id, ledger),
            };
            match save.await {
                Ok(()) => {
                    FaultPoint::AfterTask.reach();
                    let previous = stored.and_then(|record| record.task);
                    return Ok(match next {
                        Next::Task(task, _) => Some(Saved {
                            task: *task,
                            previous,
                            is_written: true,
                        }),
                        Next::Deleted(_) => {
                            self.tell_deleted(previous.as_ref()).await;
                            None
                        }
                    });
                }
                Err(StoreError::Conflict(_)) if attempt < CONFLICT_ATTEMPTS => {
                    FaultPoint::RaceLost.reach();
                    tokio::time::sleep(CONFLICT_WAIT * attempt).await;
                    attempt += 1;
                    let read_again = slice::from_ref(&task_id);
                    stored = self.parts.tasks.fetch_records(read_again).await?.pop();
                }
                Err(error) => {
                    if let Next::Deleted(_) = next {
                        // It may be deleted all the same.
                        self.tell_deleted(previous).await;
                    }
                    return Err(error);
                }
            }
        }
    }

    async fn tell_deleted(&self, deleted: Option<&Task>) {
        if let Some(deleted) = deleted {
            self.write_through.task_deleted(deleted).await;
        }
    }

    /// What is to be stored; `None` if nothing would change.
    async fn next_state(
        &self,
        task_id: &TaskId,
        gathered: &[&(Target, Ledger)],
        stored: Option<&TaskRecord>,
    ) -> Result<Option<Next>, StoreError> {
        let mut ledger = stored
            .map(|record| record.ledger.clone())
            .unwrap_or_default();
        let previous = stored.and_then(|record| record.task.as_ref());
        let adopted = previous.filter(|_| ledger.is_empty());
        for (_, said) in gathered {
            ledger.merge(said);
        }
        if let Some(adopted) = adopted {
            ledger.adopt(adopted);
        }
        ledger.trim();
        if stored.is_some_and(|record| record.ledger == ledger) {
            return Ok(None);
        }
        let Some(origin) = origin_of(previous, gathered) else {
            return Ok(None);
        };
        let Some(mut next) = fold_into_task(task_id, &origin, previous, &ledger) else {
            let is_deleted = match previous {
                Some(_) => tells_of_deleted(&ledger),
                None => stored.is_some(),
            };
            if let Some(previous) = previous {
                ledger.delete_again(previous);
            }
            return Ok(is_deleted.then_some(Next::Deleted(ledger)));
        };
        if next.project_id.is_none() {
            next.project_id = self.matcher.project_of(&next).await?;
        }
        // What is known of earlier runs is asked for once, when a run is first heard of or has another name.
        let is_same = |previous: &Task| {
            previous.run == next.run
                && previous.task_name == next.task_name
                && previous.started_at.is_some()
        };
        if !next.status.is_terminal() && !previous.is_some_and(is_same) {
            next.usual_duration_ms = self.parts.tasks.usual_duration_ms(&next).await?;
        }
        Ok(Some(Next::Task(Box::new(next), ledger)))
    }
}

/// Where a task comes from: where it was first heard of, so that two streams do not take turns.
fn origin_of(previous: Option<&Task>, gathered: &[&(Target, Ledger)]) -> Option<TaskOrigin> {
    let origin = gathered.first().map(|(target, _)| target.origin.clone())?;
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

impl Target {
    /// The tasks that the target may be: the first that exists, or else the last.
    fn candidates(&self) -> Vec<TaskId> {
        if let Some(named) = &self.named {
            return vec![named.clone()];
        }
        let stream = self.origin.log_stream.as_str();
        let reported = [stream.strip_prefix("task-"), Some(stream)]
            .into_iter()
            .flatten();
        let mut candidates: Vec<TaskId> = reported.filter_map(|id| id.parse().ok()).collect();
        candidates.push(id_of_stream(self.origin.kind, stream));
        candidates
    }

    /// The task that the target is, of those that exist.
    fn resolve(&self, existing: &[TaskRecord]) -> TaskId {
        let mut candidates = self.candidates();
        let exists = |id: &TaskId| existing.iter().any(|record| record.task_id == *id);
        let first = candidates
            .iter()
            .position(exists)
            .unwrap_or(candidates.len() - 1);
        candidates.swap_remove(first)
    }
}

/// The id of a task that only its log stream knows: `cdk:<stream>` or `agent:<stream>`. A name that has other
/// characters or is too long is cut, and told apart by a hash.
fn id_of_stream(kind: LogKind, stream: &str) -> TaskId {
    let prefix = match kind {
        LogKind::Cdk => "cdk",
        LogKind::Agent => "agent",
    };
    format!("{prefix}:{stream}").parse().unwrap_or_else(|_| {
        let plain = |char: char| {
            if char.is_ascii_alphanumeric() || "._:-".contains(char) {
                char
            } else {
                '-'
            }
        };
        let readable: String = stream.chars().take(80).map(plain).collect();
        let hash = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, stream.as_bytes()).simple();
        let id = format!("{prefix}:{readable}:{hash}");
        id.parse().unwrap_or_else(|_| TaskId::random())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_stream_is_readable_unique_and_always_the_same() {
        assert_eq!(
            id_of_stream(LogKind::Cdk, "build-7").as_str(),
            "cdk:build-7"
        );
        let (one, other) = ("2025/11/15/[$LATEST]a", "2025/11/15/[$LATEST]b");
        let id = id_of_stream(LogKind::Agent, one);
        assert!(id.as_str().starts_with("agent:2025-11-15--"), "{id}");
        assert_eq!(id, id_of_stream(LogKind::Agent, one));
        assert_ne!(id, id_of_stream(LogKind::Agent, other));
        for stream in ["", "ä", &"x".repeat(512)] {
            let id = id_of_stream(LogKind::Cdk, stream);
            assert_eq!(id, id_of_stream(LogKind::Cdk, stream), "{stream}");
        }
    }
}
