//! Random walks of callers and logs on one task.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use progress_core::fold::properties::{assert_sound, late_delivery};
use progress_core::fold::{CallerEdit, KeyedFact, LineKey};
use progress_core::model::{ProjectId, RecordId, Task, TaskType, Timestamp};
use progress_core::record::{
    CallerFields, FactsChange, HeadState, Outcome, TaskChange, delete_earlier,
};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::runs::{any_edit, any_log, fact_of, sensible_log, sessions_at_once};
use crate::store::Store;
use crate::{config, origin, save};

/// What a caller or a log does.
#[derive(Debug, Clone)]
enum Operation {
    /// The log has this many more lines. Some that are known come again.
    Lines { more: usize, again: Index },
    /// A caller creates the task, or a further run, if none is open.
    Create(CallerEdit, Option<ProjectId>),
    /// A caller edits the newest run.
    Edit(CallerEdit, Option<ProjectId>),
    /// A caller deletes the newest run.
    Delete,
    /// A caller deletes one of the earlier runs, or the earliest one.
    DeleteEarlier(Option<Index>),
    /// The task expires.
    Expire,
    /// The facts are lost.
    LoseFacts,
}

fn any_operation() -> impl Strategy<Value = Operation> {
    let project = || proptest::sample::select(vec![None, "p1".parse().ok(), "p2".parse().ok()]);
    let lines = (1..8_usize, any::<Index>());
    prop_oneof![
        8 => lines.prop_map(|(more, again)| Operation::Lines { more, again }),
        2 => (any_edit(), project()).prop_map(|(edit, project)| Operation::Create(edit, project)),
        3 => (any_edit(), project()).prop_map(|(edit, project)| Operation::Edit(edit, project)),
        2 => Just(Operation::Delete),
        2 => any::<Index>().prop_map(|index| Operation::DeleteEarlier(Some(index))),
        1 => Just(Operation::Expire),
        1 => Just(Operation::LoseFacts),
    ]
}

/// The same operation, but on the same run, whoever comes first.
fn same_run(operation: Operation) -> Operation {
    match operation {
        Operation::DeleteEarlier(_) => Operation::DeleteEarlier(None),
        operation => operation,
    }
}

/// The facts of a log.
fn any_facts() -> impl Strategy<Value = Vec<KeyedFact>> {
    let log = prop_oneof![any_log(), sensible_log()];
    let facts = log.prop_map(|log| log.iter().map(fact_of).collect());
    prop_oneof![3 => facts, 1 => sessions_at_once()]
}

/// A log and how much of it was read.
struct Source {
    facts: Vec<KeyedFact>,
    read: usize,
    /// The earliest time of the server.
    earliest: Timestamp,
}

impl Source {
    fn new(facts: Vec<KeyedFact>) -> Self {
        Self {
            facts,
            read: 0,
            earliest: Timestamp::from_millis(990),
        }
    }

    /// The next lines, after some that were read before.
    fn next(&mut self, more: usize, again: Option<Index>) -> Vec<KeyedFact> {
        let start = again.map_or(0, |again| again.index(self.read + 1));
        self.read = (self.read + more).min(self.facts.len());
        self.facts[start..self.read].to_vec()
    }

    /// A time of the server: a bit after the last line that was read.
    fn now(&self) -> Timestamp {
        let last = self
            .read
            .checked_sub(1)
            .and_then(|last| self.facts.get(last));
        let last = last.map_or(self.earliest, |(at, _)| at.time().max(self.earliest));
        last.after(Duration::from_millis(2))
    }

    /// Nothing happens for a while. Lines that were read don't come again.
    fn skip(&mut self, silence: Duration) {
        let read: BTreeSet<LineKey> = self.facts.drain(..self.read).map(|(at, _)| at).collect();
        self.read = 0;
        self.earliest = self.now().after(silence);
        self.facts.retain(|(at, _)| !read.contains(at));
        let keys: BTreeSet<LineKey> = self.facts.iter().map(|(at, _)| *at).collect();
        let later = |at: &LineKey, number| {
            LineKey::outside_logs(at.time().after(silence)).with_line(number)
        };
        let keys: BTreeMap<_, _> = keys
            .iter()
            .zip(0..)
            .map(|(at, number)| (*at, later(at, number)))
            .collect();
        for (at, _) in &mut self.facts {
            *at = keys[at];
        }
    }
}

fn fields(project_id: Option<ProjectId>) -> CallerFields {
    CallerFields {
        priority: None,
        project_id,
        metadata: None,
    }
}

/// The change of an operation of a caller; `None` if the API refuses it.
fn change_of(store: &Store, operation: &Operation, now: Timestamp) -> Option<TaskChange> {
    let record = store.read();
    match operation {
        Operation::Create(edit, project_id) => {
            let is_open = record.live().is_some_and(|task| !task.status.is_terminal());
            (!is_open).then(|| {
                record.create(
                    TaskType::Build,
                    edit.clone(),
                    &fields(project_id.clone()),
                    now,
                )
            })
        }
        Operation::Edit(edit, project_id) => {
            let task = record.live()?;
            let edit = edit.clone().of_task(task).ok()?;
            Some(record.edit(edit, &fields(project_id.clone()), now))
        }
        Operation::Delete => record.delete(now),
        Operation::DeleteEarlier(index) => {
            let live = store.live().into_iter().filter(|task| task.is_earlier);
            let live: Vec<_> = live.collect();
            let chosen = index
                .filter(|_| !live.is_empty())
                .map_or(0, |index| index.index(live.len()));
            live.get(chosen).map(|run| delete_earlier(run))
        }
        Operation::Lines { .. } | Operation::Expire | Operation::LoseFacts => None,
    }
}

/// Checks that a task shows what its caller asked for.
fn check_edited(edit: &CallerEdit, task: &Task) -> Result<(), TestCaseError> {
    if let Some(status) = edit.status {
        prop_assert_eq!(task.status, status);
    }
    let texts = [
        (&edit.message, &task.message),
        (&edit.phase, &task.phase),
        (&edit.current_step, &task.current_step),
    ];
    for (edited, shown) in texts {
        if let Some(edited) = edited {
            prop_assert_eq!(edited, shown);
        }
    }
    if let Some(progress) = edit.progress {
        let shown = (task.progress.current, task.progress.total);
        prop_assert_eq!(shown, (progress.current, progress.total));
    }
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    /// Metrics equal a recount and revisions only grow: [`Store`] checks it after each write. What
    /// is deleted stays deleted, and the newest run never goes backward.
    #[test]
    fn a_walk_of_callers_and_logs_is_sound(
        facts in any_facts(),
        lateness in prop_oneof![Just(0), 1..24_usize], seed: u64,
        operations in proptest::collection::vec(any_operation(), 1..40),
    ) {
        let facts = late_delivery(&facts, lateness, seed).concat();
        let mut source = Source::new(facts);
        let mut store = Store::new();
        let mut deleted: BTreeSet<RecordId> = BTreeSet::new();
        let is_creation = |operation: &Operation| matches!(operation, Operation::Create(..));
        let may_be_late = lateness > 0 || operations.iter().any(is_creation);
        for operation in &operations {
            let before = store.clone();
            let now = source.now();
            match operation {
                Operation::Lines { more, again } => {
                    save(&mut store, source.next(*more, Some(*again)), now);
                }
                Operation::Expire => {
                    store.expire();
                    source.skip(Duration::from_secs(91 * 24 * 60 * 60));
                }
                Operation::LoseFacts => store.lose_facts(),
                operation => {
                    let record = store.read();
                    let Some(change) = change_of(&store, operation, now) else { continue };
                    store.write(&change).expect("nobody else writes");
                    for head in &change.heads {
                        if head.next.state == HeadState::Deleted {
                            deleted.insert(RecordId::Run(head.next.task.run_id()));
                        }
                    }
                    if let Operation::Create(edit, _) = operation {
                        check_edited(edit, change.newest().expect("a run"))?;
                    }
                    if let (Operation::Edit(edit, _), Some(task)) = (operation, record.live()) {
                        let newest = change.newest().expect("a run");
                        check_edited(edit, newest)?;
                        prop_assert_eq!(newest.run, task.run);
                    }
                }
            }
            for task in store.live() {
                assert_sound(task);
                prop_assert!(!deleted.contains(&RecordId::Run(task.run_id())), "{} is back", task.run);
            }
            let runs = |store: &Store| {
                let newest = store.newest()?;
                (newest.state != HeadState::Expired).then_some(newest.task.run)
            };
            // Late lines may show that the newest run is a part of the one before. Lines are late if
            // a caller has created a run meanwhile.
            let is_behind = runs(&store).is_some() && runs(&store) < runs(&before);
            prop_assert!(may_be_late || !is_behind, "the newest run went back");
            if before.newest().is_some_and(|head| head.state == HeadState::Deleted)
                && let Some(task) = store.newest().and_then(|head| head.live())
            {
                // It has the name of the deleted run only if late lines had made it part of that run
                // for a while. No run whose deletion a caller asked for is back: see above.
                prop_assert!(Some(task.run) >= runs(&before), "it came back by itself");
            }
        }
    }

    /// Lines that are known change nothing, also after edits: the response to an edit is what every
    /// later reader sees.
    #[test]
    fn known_lines_change_nothing(
        log in any_log(), edits in proptest::collection::vec(any_edit(), 1..4),
    ) {
        let facts: Vec<_> = log.iter().map(fact_of).collect();
        let mut store = Store::new();
        let now = Timestamp::from_millis(1_000);
        save(&mut store, facts.clone(), now);
        for edit in edits {
            let record = store.read();
            let Some(task) = record.live() else { continue };
            let Ok(edit) = edit.of_task(task) else { continue };
            let change = record.edit(edit, &CallerFields::of(task), now);
            store.write(&change).expect("nobody else writes");
            let known = store.read().add_lines(facts.clone(), &origin(), now);
            prop_assert_eq!(known, Outcome::Unchanged);
        }
    }

    /// The writer with the stale record gets a conflict and reads again. Then the end state is as
    /// if one writer had come after the other.
    #[test]
    fn two_writers_at_once_end_where_one_would_have(
        facts in any_facts(),
        first in any_operation().prop_map(same_run), second in any_operation().prop_map(same_run),
        start in 0..30_usize,
    ) {
        let mut source = Source::new(facts);
        let mut store = Store::new();
        let now = Timestamp::from_millis(1_500);
        save(&mut store, source.next(start, None), now);
        let mut lines = |operation: &Operation| match operation {
            Operation::Lines { more, again } => source.next(*more, Some(*again)),
            _ => Vec::new(),
        };
        let (first_lines, second_lines) = (lines(&first), lines(&second));
        let change = |store: &Store, operation: &Operation, lines: &[KeyedFact]| match operation {
            Operation::Lines { .. } => {
                match store.read().add_lines(lines.to_vec(), &origin(), now) {
                    Outcome::Changed { change, rest } if rest.is_empty() => Some(*change),
                    _ => None,
                }
            }
            operation => change_of(store, operation, now),
        };
        let mut expected = store.clone();
        for (operation, lines) in [(&first, &first_lines), (&second, &second_lines)] {
            if let Some(change) = change(&expected, operation, lines) {
                expected.write(&change).expect("nobody else writes");
            }
        }
        let stale = change(&store, &second, &second_lines);
        if let Some(change) = change(&store, &first, &first_lines) {
            store.write(&change).expect("nobody else writes");
            if let Some(stale) = &stale {
                let both_write_facts = stale.facts != FactsChange::Keep && change.facts != FactsChange::Keep;
                prop_assert!(!both_write_facts || store.clone().write(stale).is_err());
            }
        }
        let is_written = stale.is_some_and(|stale| store.write(&stale).is_ok());
        if !is_written && let Some(again) = change(&store, &second, &second_lines) {
            store.write(&again).expect("nobody else writes");
        }
        prop_assert_eq!(store, expected);
    }
}
