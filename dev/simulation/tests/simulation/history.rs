//! What all clients together were shown and told, and what must be true of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value};
use shared::model::{Revision, Task, TaskId};

use crate::client::revision_of;
use crate::logs::TWO_RUNS;

/// What is worked out whenever a task is shown.
const DERIVED: [&str; 2] = ["stale", "eta"];

/// What is known of a run from outside.
#[derive(Debug, Default)]
pub(crate) struct History(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Tasks that clients may ask for.
    task_ids: BTreeSet<TaskId>,
    /// Each state that anyone was shown.
    states: BTreeMap<(TaskId, Revision), Map<String, Value>>,
    /// Tasks that a caller has tried to change or delete.
    changed: BTreeSet<TaskId>,
    /// Tasks that a caller has tried to delete.
    perhaps_deleted: BTreeSet<TaskId>,
    /// Tasks that a caller has deleted, was told so, and that nothing brings back.
    deleted: BTreeSet<TaskId>,
    /// By task, what changes have written, as far as their callers were told.
    written: BTreeMap<TaskId, BTreeMap<Revision, u64>>,
    /// What changes may have written: their answers are lost.
    perhaps_written: BTreeSet<u64>,
}

impl History {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn expect_task(&self, task_id: &TaskId) {
        self.lock().task_ids.insert(task_id.clone());
    }

    pub(crate) fn known_tasks(&self) -> Vec<TaskId> {
        self.lock().task_ids.iter().cloned().collect()
    }

    pub(crate) fn note_change(&self, task_id: &TaskId) {
        self.lock().changed.insert(task_id.clone());
    }

    pub(crate) fn was_changed(&self, task_id: &TaskId) -> bool {
        self.lock().changed.contains(task_id)
    }

    pub(crate) fn note_perhaps_deleted(&self, task_id: &TaskId) {
        self.note_change(task_id);
        self.lock().perhaps_deleted.insert(task_id.clone());
    }

    pub(crate) fn was_perhaps_deleted(&self, task_id: &TaskId) -> bool {
        self.lock().perhaps_deleted.contains(task_id)
    }

    pub(crate) fn note_deletion(&self, task_id: &TaskId) {
        self.lock().deleted.insert(task_id.clone());
    }

    pub(crate) fn was_deleted_for_good(&self, task_id: &TaskId) -> bool {
        self.lock().deleted.contains(task_id)
    }

    /// A caller was told that the change `number` was made, as this revision.
    pub(crate) fn note_written(&self, task_id: &TaskId, revision: Revision, number: u64) {
        let mut known = self.lock();
        let written = known.written.entry(task_id.clone()).or_default();
        let other = written.insert(revision, number);
        assert_eq!(
            other.unwrap_or(number),
            number,
            "two changes of {task_id} are revision {revision}"
        );
    }

    /// The answer to the change `number` is lost.
    pub(crate) fn note_perhaps_written(&self, number: u64) {
        self.lock().perhaps_written.insert(number);
    }

    /// The last change of the task that was confirmed is there, unless another may have replaced it.
    pub(crate) fn assert_last_change_is_there(&self, task: &Task) {
        let known = self.lock();
        let Some(written) = known.written.get(&task.task_id) else {
            return;
        };
        let (_, last) = written.last_key_value().unwrap();
        let found = task
            .metadata
            .as_ref()
            .and_then(|metadata| metadata.get("change"));
        let found = found.and_then(Value::as_u64);
        let is_there =
            found.is_some_and(|found| found == *last || known.perhaps_written.contains(&found));
        assert!(
            is_there,
            "change {last} of {} is lost: {found:?}",
            task.task_id
        );
    }

    /// Adds what someone was shown: one revision is one state, whoever shows it.
    pub(crate) fn note(&self, json: &Value) {
        let key = revision_of(json);
        let shown = json.as_object().unwrap();
        let is_stored = |name: &&String| !DERIVED.contains(&name.as_str());
        let mut known = self.lock();
        let Some(held) = known.states.get(&key) else {
            let stored = shown.iter().filter(|(name, _)| is_stored(name));
            let stored = stored.map(|(name, value)| (name.clone(), value.clone()));
            let stored = stored.collect();
            known.states.insert(key, stored);
            return;
        };
        let is_same = held.len() == shown.keys().filter(is_stored).count()
            && held
                .iter()
                .all(|(name, value)| shown.get(name) == Some(value));
        assert!(is_same, "one revision, two states: {held:?} {shown:?}");
    }

    /// Within a run, what has ended stays so, and a percentage does not fall.
    ///
    /// Not where a stream has two runs: lines that arrive late may show that what was known is of the other run. And where
    /// both a log and callers say how far a task is, a caller may set it back once the log has said something that
    /// tells of no percentage.
    pub(crate) fn assert_forward(&self) {
        let known = self.lock();
        let states = known.states.values();
        let states = states.map(|state| serde_json::from_value(Value::Object(state.clone())));
        let states: Vec<Task> = states
            .map(Result::unwrap)
            .filter(|task: &Task| task.task_id.as_str() != TWO_RUNS)
            .collect();
        let of_one_task = |pair: &&[Task]| pair[0].task_id == pair[1].task_id;
        for pair in states.windows(2).filter(of_one_task) {
            let (before, after) = (&pair[0], &pair[1]);
            let task_id = &before.task_id;
            if before.run != after.run {
                continue;
            }
            if before.status.is_terminal() {
                assert_eq!(before.status, after.status, "{task_id} has ended before");
                continue; // what is corrected then is no progress
            }
            if before.log_stream.is_some() && known.changed.contains(task_id) {
                continue;
            }
            let percentage = |task: &Task| task.progress.percentage;
            if let (Some(before), Some(after)) = (percentage(before), percentage(after)) {
                assert!(
                    after >= before,
                    "{task_id} fell from {before} % to {after} %"
                );
            }
        }
    }
}
