//! The heads of a task after a change.

use std::time::Duration;

use super::{CallerFields, Head, HeadChange, HeadState, TaskOrigin, TaskRecord, task_of_run};
use crate::fold::{FactLog, LineKey, Run};
use crate::model::{Task, Timestamp};

/// An earlier run can't change any more once it has been silent for this long, in milliseconds.
const FINAL_AFTER_MS: u64 = 60 * 60 * 1000;
/// The earliest name of a run: a second after the start of 1970. Storage keys below are taken.
pub const EARLIEST_RUN_MS: i64 = 1000;
/// The most earlier runs of a task that can still change.
const MOST_OPEN_RUNS: usize = 20;
/// The most earlier runs in one change. A transaction of DynamoDB takes 100 items, and each run has
/// up to three
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>).
const MOST_EARLIER_RUNS: usize = 20;

/// The heads after a change.
#[derive(Default)]
pub(super) struct Draft {
    /// The heads that change, the newest run first; empty if there is no run.
    pub(super) heads: Vec<HeadChange>,
    /// The names of all runs that the facts tell of, in order.
    pub(super) names: Vec<Timestamp>,
    /// Facts up to this one must become part of the state: earlier runs become final.
    pub(super) settled_up_to: Option<LineKey>,
    /// The first line of a run that is too many for one change.
    pub(super) first_beyond_limit: Option<LineKey>,
}

impl Draft {
    /// The heads of the runs in `log`. New lines are from `origin`; `fields` are new for the newest
    /// run.
    pub(super) fn of(
        record: &TaskRecord,
        log: &FactLog,
        origin: Option<&TaskOrigin>,
        fields: Option<&CallerFields>,
    ) -> Self {
        let runs = log.runs();
        let mut draft = Self::default();
        let Some((current, earlier)) = runs.split_last() else {
            return draft;
        };
        draft.names = names_of(record, log, &runs);
        let Some((current_name, earlier_names)) = draft.names.split_last() else {
            return draft;
        };
        let is_merged = |newest: &Task| !draft.names.contains(&newest.run);
        let maker = Maker {
            record,
            origin,
            merged: record.live().filter(|newest| is_merged(newest)),
        };
        draft
            .heads
            .push(maker.newest(current, *current_name, fields));

        // Earlier runs, oldest first.
        for (run, name) in earlier.iter().zip(earlier_names) {
            if let Some(change) = maker.earlier(run, *name) {
                if draft.heads.len() > MOST_EARLIER_RUNS {
                    draft.first_beyond_limit = Some(run.start);
                    return draft;
                }
                draft.heads.push(change);
            }
        }
        for head in record.known_heads().filter(|head| head.task.is_earlier) {
            if head.state == HeadState::Live && !earlier_names.contains(&head.task.run) {
                draft.heads.push(HeadChange::to(head, HeadState::Merged));
            }
        }
        let newest_time = log.newest().map(LineKey::time).unwrap_or_default();
        let is_silent = |run: &&Run| newest_time.millis_since(run.last.time()) > FINAL_AFTER_MS;
        let silent = earlier.iter().take_while(is_silent).count();
        let settled = silent.max(earlier.len().saturating_sub(MOST_OPEN_RUNS));
        if settled > 0 {
            let start = runs.get(settled).map(|run| run.start);
            draft.settled_up_to = start.filter(|start| Some(*start) > log.watermark());
        }
        draft
    }

    /// The earliest of the earlier runs that can still change: those of `record` and of this draft
    /// that come after the run `last_final`.
    pub(super) fn open_since(
        &self,
        record: &TaskRecord,
        last_final: Option<Timestamp>,
    ) -> Option<Timestamp> {
        let stored = record.known_heads().map(|head| &head.task);
        let written = self.heads.iter().map(|head| &head.next.task);
        let earlier = stored.chain(written).filter(|task| task.is_earlier);
        let runs = earlier.map(|task| task.run);
        runs.filter(|run| Some(*run) > last_final).min()
    }
}

/// The names of the stored runs, the better ones first: a name that no caller has deleted is better
/// than one that was, and that is better than one of a run that was merged into another.
fn names_in(record: &TaskRecord) -> Vec<Timestamp> {
    let rank = |head: &Head| match head.state {
        // Facts tell whether the newest run is deleted.
        _ if !head.task.is_earlier => 0,
        HeadState::Live | HeadState::Expired => 0,
        HeadState::Deleted => 1,
        HeadState::Merged => 2,
    };
    let names = record.known_heads().map(|head| (rank(head), head.task.run));
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names.into_iter().map(|(_, run)| run).collect()
}

/// The names of the runs of `log`, in order.
pub(super) fn names_of(record: &TaskRecord, log: &FactLog, runs: &[Run]) -> Vec<Timestamp> {
    let starts: Vec<LineKey> = runs.iter().map(|run| run.start).collect();
    names_between(&starts, log.last_final, &names_in(record))
}

/// The names of runs that start at `starts`, in order: the first of the names in `stored` that lies
/// between the start of a run and the next one, or else its start. All are later than `last_final`,
/// and no two runs have the same.
pub(super) fn names_between(
    starts: &[LineKey],
    last_final: Option<Timestamp>,
    stored: &[Timestamp],
) -> Vec<Timestamp> {
    let after = |before: Option<Timestamp>, time: Timestamp| {
        let least = before.map(|before| before.after(Duration::from_millis(1)));
        least.map_or(time, |least| least.max(time))
    };
    let earliest = Timestamp::from_millis(EARLIEST_RUN_MS);
    let mut distinct: Vec<Timestamp> = Vec::new();
    for start in starts {
        let before = distinct.last().copied().or(last_final);
        distinct.push(after(before, start.time().max(earliest)));
    }
    let mut names: Vec<Timestamp> = Vec::new();
    for (index, start) in distinct.iter().enumerate() {
        let next = distinct.get(index + 1);
        let is_within = |run: &&Timestamp| start <= *run && next.is_none_or(|next| *run < next);
        let name = stored.iter().find(is_within).unwrap_or(start);
        names.push(after(names.last().copied(), *name));
    }
    names
}

impl HeadChange {
    /// The change of the state of a stored run alone.
    pub(super) fn to(head: &Head, state: HeadState) -> Self {
        let next = Task {
            revision: head.task.revision.next(),
            ..head.task.clone()
        };
        Self {
            previous: Some(head.clone()),
            before: Some(head.task.clone()),
            session: None,
            next: Head { task: next, state },
        }
    }
}

/// Makes the heads of runs.
struct Maker<'a> {
    record: &'a TaskRecord,
    origin: Option<&'a TaskOrigin>,
    /// The newest run so far, if it turned out to be a part of another one.
    merged: Option<&'a Task>,
}

impl Maker<'_> {
    /// The stored state of the run `name`. A run that was merged into the newest one is stored
    /// twice.
    fn stored(&self, name: Timestamp) -> Option<&Task> {
        let mut heads = self.record.known_heads();
        let head = heads.find(|head| head.task.run == name)?;
        Some(&head.task)
    }

    fn task(&self, run: &Run, name: Timestamp) -> Task {
        // A new run has the caller's fields of the one before.
        let kept = self.stored(name).or(self.record.live());
        task_of_run(run, name, &self.record.task_id, self.origin, kept)
    }

    fn newest(&self, run: &Run, name: Timestamp, fields: Option<&CallerFields>) -> HeadChange {
        let previous = self.record.newest.clone();
        let revision = previous.as_ref().map(|head| head.task.revision);
        // What a caller set on the newest run stays on the newest run.
        let merged = self.merged.map(CallerFields::of);
        let fields = fields.or(merged.as_ref());
        let (mut task, state) = match &previous {
            Some(previous) if run.is_deleted => (previous.task.clone(), HeadState::Deleted),
            _ => (self.task(run, name), HeadState::Live),
        };
        if let Some(fields) = fields {
            task.priority = fields.priority;
            // Until the next line that names a project.
            task.project_id.clone_from(&fields.project_id);
            task.metadata.clone_from(&fields.metadata);
        }
        HeadChange {
            next: Head {
                task: Task {
                    is_earlier: false,
                    revision: revision.unwrap_or_default().next(),
                    ..task
                },
                state,
            },
            before: self.stored(name).cloned(),
            session: run.session,
            previous,
        }
    }

    /// The change of an earlier run; `None` if it is stored as it is, or deleted.
    fn earlier(&self, run: &Run, name: Timestamp) -> Option<HeadChange> {
        let mut records = self.record.earlier.iter();
        let previous = records.find(|head| head.task.run == name);
        let has_state = |state| previous.is_some_and(|previous| previous.state == state);
        if run.is_deleted || has_state(HeadState::Deleted) {
            return None;
        }
        let known = self.stored(name);
        let revision = previous.map(|previous| previous.task.revision);
        let revision = revision.max(known.map(|known| known.revision));
        let mut task = Task {
            is_earlier: true,
            revision: revision.unwrap_or_default(),
            ..self.task(run, name)
        };
        if has_state(HeadState::Live) && previous.is_some_and(|previous| previous.task == task) {
            return None;
        }
        task.revision = task.revision.next();
        Some(HeadChange {
            previous: previous.cloned(),
            before: known.cloned(),
            session: run.session,
            next: Head {
                task,
                state: HeadState::Live,
            },
        })
    }
}
