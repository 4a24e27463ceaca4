//! The oracle: the rules for what the API may show to clients.
//!
//! Writers record their requests and the responses. Readers check each task that the API shows
//! them. The simulation and the lab's fault experiments use the same rules.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value};
use shared::model::{HistoryEntry, RecordId, Revision, Task, TaskId};

/// Fields that the API computes when it shows a task, or leaves out in lists. They are not compared.
const NOT_COMPARED: [&str; 4] = ["stale", "eta", "parts", "source"];

/// The fields of a task that are compared.
fn compared(task: &Value) -> Map<String, Value> {
    let mut shown = task.as_object().unwrap().clone();
    shown.retain(|name, _| !NOT_COMPARED.contains(&name.as_str()));
    // Lists leave out the lines before a failure.
    if let Some(Value::Object(failure)) = shown.get_mut("failure") {
        failure.remove("context");
    }
    shown
}

/// Runs and their revisions.
pub type Revisions = BTreeMap<RecordId, Revision>;

/// The id and revision of a run as the API shows it.
///
/// # Panics
///
/// If `json` is not a task.
pub fn revision_of(json: &Value) -> (RecordId, Revision) {
    identify(json).unwrap()
}

fn identify(json: &Value) -> Result<(RecordId, Revision), String> {
    let is_earlier = json["earlier"].as_bool().unwrap_or(false);
    let id = &json[if is_earlier { "run_id" } else { "task_id" }];
    let id = id.as_str().and_then(|id| id.parse().ok());
    let revision = json["revision"].as_u64().map(Revision);
    let both = id.zip(revision);
    both.ok_or_else(|| format!("this is not a task: {json}"))
}

/// The requests and responses of all clients of a run. A broken rule is an `Err` with a
/// description.
#[derive(Debug, Default)]
pub struct Oracle(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Tasks that clients may ask for.
    task_ids: BTreeSet<TaskId>,
    /// Each state that a client was shown.
    states: BTreeMap<(RecordId, Revision), Map<String, Value>>,
    /// Tasks that a caller has tried to change or delete.
    changed: BTreeSet<TaskId>,
    /// Tasks that a caller has tried to delete.
    perhaps_deleted: BTreeSet<TaskId>,
    /// Tasks whose deletion was confirmed, and which nothing brings back.
    deleted: BTreeSet<TaskId>,
    /// By task and revision, the number of the confirmed change that wrote it.
    written: BTreeMap<TaskId, BTreeMap<Revision, u64>>,
    /// Numbers of changes whose answers were lost. They may have been written.
    perhaps_written: BTreeSet<u64>,
    counters: BTreeMap<TaskId, Counter>,
}

/// The progress of a task that one writer raises step by step.
#[derive(Debug, Default)]
struct Counter {
    /// The highest count that was requested.
    requested: u64,
    /// The highest count that was confirmed.
    confirmed: u64,
}

impl Oracle {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on clients may ask for this task.
    pub fn expect_task(&self, task_id: &TaskId) {
        self.lock().task_ids.insert(task_id.clone());
    }

    /// All tasks that clients may ask for, including deleted ones.
    pub fn known_tasks(&self) -> Vec<TaskId> {
        self.lock().task_ids.iter().cloned().collect()
    }

    /// The known tasks whose deletion was not confirmed.
    pub fn live_tasks(&self) -> BTreeSet<TaskId> {
        let known = self.lock();
        known.task_ids.difference(&known.deleted).cloned().collect()
    }

    /// A caller is about to change this task.
    pub fn note_change(&self, task_id: &TaskId) {
        self.lock().changed.insert(task_id.clone());
    }

    /// Whether a caller has tried to change or delete this task.
    pub fn was_changed(&self, task_id: &TaskId) -> bool {
        self.lock().changed.contains(task_id)
    }

    /// A caller is about to delete this task.
    pub fn note_deletion_attempt(&self, task_id: &TaskId) {
        self.note_change(task_id);
        self.lock().perhaps_deleted.insert(task_id.clone());
    }

    /// Whether a caller has tried to delete this task.
    pub fn was_perhaps_deleted(&self, task_id: &TaskId) -> bool {
        self.lock().perhaps_deleted.contains(task_id)
    }

    /// The deletion of this task was confirmed. Nothing brings the task back.
    pub fn note_deletion(&self, task_id: &TaskId) {
        self.lock().deleted.insert(task_id.clone());
    }

    /// Whether the deletion of this task was confirmed.
    pub fn was_deleted(&self, task_id: &TaskId) -> bool {
        self.lock().deleted.contains(task_id)
    }

    /// The API confirmed change `number` as this revision. No other change may have the same
    /// revision.
    pub fn check_written(
        &self,
        task_id: &TaskId,
        revision: Revision,
        number: u64,
    ) -> Result<(), String> {
        let mut known = self.lock();
        let written = known.written.entry(task_id.clone()).or_default();
        match written.insert(revision, number) {
            Some(other) if other != number => Err(format!(
                "changes {other} and {number} of {task_id} are both revision {revision}"
            )),
            _ => Ok(()),
        }
    }

    /// The answer to change `number` was lost.
    pub fn note_perhaps_written(&self, number: u64) {
        self.lock().perhaps_written.insert(number);
    }

    /// The last confirmed change of a stored task is still there, unless a change whose answer was
    /// lost replaced it. A change leaves its number in the metadata.
    pub fn check_last_change(&self, task: &Task) -> Result<(), String> {
        let known = self.lock();
        let written = known.written.get(&task.task_id);
        let Some((_, last)) = written.and_then(BTreeMap::last_key_value) else {
            return Ok(());
        };
        let metadata = task.metadata.as_ref();
        let found = metadata.and_then(|metadata| metadata.get("change")?.as_u64());
        match found {
            Some(found) if found == *last || known.perhaps_written.contains(&found) => Ok(()),
            _ => Err(format!(
                "change {last} of {} is lost: its metadata has {found:?}",
                task.task_id
            )),
        }
    }

    /// A writer is about to request this count, in `progress.current` and as the `message`.
    pub fn request_count(&self, task_id: &TaskId, count: u64) {
        let mut known = self.lock();
        known.counters.entry(task_id.clone()).or_default().requested = count;
    }

    /// The API or the collector confirmed this count.
    pub fn confirm_count(&self, task_id: &TaskId, count: u64) {
        let mut known = self.lock();
        known.counters.entry(task_id.clone()).or_default().confirmed = count;
    }

    /// The highest confirmed count of this task.
    pub fn confirmed_count(&self, task_id: &TaskId) -> u64 {
        let known = self.lock();
        let counter = known.counters.get(task_id);
        counter.map_or(0, |counter| counter.confirmed)
    }

    /// Checks a shown task against what other clients have seen, against the requested count, and
    /// against what this client has seen before.
    pub fn check_shown(&self, view: &mut View, task: &Value) -> Result<(), String> {
        let (id, revision) = identify(task)?;
        let mut known = self.lock();
        known.check_state(&id, revision, task)?;
        let count = known.check_count(id.task_id(), task)?;
        view.advance(&id, revision, count)
    }

    /// Checks a task in a list: one revision is one state in every response.
    pub fn check_listed(&self, task: &Value) -> Result<(), String> {
        let (id, revision) = identify(task)?;
        self.lock().check_state(&id, revision, task)
    }

    /// Checks all shown states: within a run, only a correction changes a terminal state, and
    /// percentages don't fall.
    ///
    /// `exempt` is a task whose stream has several runs: a late line may move a state to the other run.
    /// A caller may also set progress back.
    pub fn check_progress(&self, exempt: Option<&str>) -> Result<(), String> {
        let known = self.lock();
        let mut before: Option<Task> = None;
        for state in known.states.values() {
            let after: Task = serde_json::from_value(Value::Object(state.clone()))
                .map_err(|error| format!("a shown task can't be read: {error}"))?;
            let task_id = &after.task_id;
            let before = before.replace(after.clone());
            let same = |before: &Task| before.record_id() == after.record_id();
            let Some(before) = before.filter(same) else {
                continue;
            };
            if exempt == Some(task_id.as_str()) || before.run != after.run {
                continue;
            }
            if before.status.is_terminal() {
                if before.status != after.status && before.corrections == after.corrections {
                    return Err(format!(
                        "{task_id} was {} and is {}",
                        before.status, after.status
                    ));
                }
                continue; // a correction after the end is no progress
            }
            if known.changed.contains(task_id) {
                continue;
            }
            let percentages = (before.progress.percentage, after.progress.percentage);
            if let (Some(before), Some(after)) = percentages
                && after < before
            {
                return Err(format!("{task_id} fell from {before} % to {after} %"));
            }
        }
        Ok(())
    }

    /// Forgets the shown states, so that a long run does not keep all of them.
    pub fn forget_states(&self) {
        self.lock().states.clear();
    }

    /// Checks a stored task that has a counter: each confirmed count was written, once.
    pub fn check_counter(&self, task: &Task, history: &[HistoryEntry]) -> Result<(), String> {
        let task_id = &task.task_id;
        let confirmed = self.confirmed_count(task_id);
        let current = task.progress.current;
        if current != Some(confirmed) {
            return Err(format!(
                "{task_id} is at {current:?}; {confirmed} was confirmed"
            ));
        }
        let counts = history.iter().filter_map(|entry| entry.progress.current);
        let counts: Vec<u64> = counts.filter(|count| *count > 0).collect();
        let expected: Vec<u64> = (1..=confirmed).collect();
        if counts == expected {
            return Ok(());
        }
        let mut pairs = counts.iter().zip(&expected);
        let first = pairs.find(|(found, expected)| found != expected);
        Err(format!(
            "the history of {task_id} has {} counts of {confirmed}; first difference (found, expected): {first:?}",
            counts.len()
        ))
    }
}

impl Known {
    /// One revision is one state in every response.
    fn check_state(
        &mut self,
        id: &RecordId,
        revision: Revision,
        task: &Value,
    ) -> Result<(), String> {
        let shown = compared(task);
        let held = self.states.entry((id.clone(), revision));
        let held = held.or_insert_with(|| shown.clone());
        match *held == shown {
            true => Ok(()),
            false => Err(format!("one revision, two states: {held:?} {shown:?}")),
        }
    }

    /// A shown count was requested, and is shown with its message. `None` if the task has no
    /// counter.
    fn check_count(&self, task_id: &TaskId, task: &Value) -> Result<Option<u64>, String> {
        let Some(counter) = self.counters.get(task_id) else {
            return Ok(None);
        };
        let Some(count) = task["progress"]["current"].as_u64() else {
            return Err(format!("{task_id} has no progress: {task}"));
        };
        let (requested, message) = (counter.requested, &task["message"]);
        if count > requested {
            return Err(format!(
                "{task_id} shows {count}, but only {requested} was requested"
            ));
        }
        if count > 0 && message.as_str() != Some(&count.to_string()) {
            return Err(format!(
                "{task_id} shows {count} with the message {message}"
            ));
        }
        Ok(Some(count))
    }
}

/// What one client has seen. It must not be shown anything older.
#[derive(Debug, Default)]
pub struct View {
    /// By run, the highest revision, and the count if the task has one.
    seen: BTreeMap<RecordId, (Revision, Option<u64>)>,
    may_go_back: bool,
}

impl View {
    /// The view of a client that may be shown older states, because the cache is allowed to be
    /// stale.
    pub fn that_may_go_back() -> Self {
        Self {
            may_go_back: true,
            ..Self::default()
        }
    }

    /// The client no longer has the run, so that it can't say which revision it has seen.
    pub fn forget(&mut self, id: &RecordId) {
        self.seen.remove(id);
    }

    fn advance(
        &mut self,
        id: &RecordId,
        revision: Revision,
        count: Option<u64>,
    ) -> Result<(), String> {
        let seen = self.seen.entry(id.clone()).or_default();
        let last = *seen;
        *seen = (revision.max(last.0), count.max(last.1));
        if self.may_go_back || (revision >= last.0 && count >= last.1) {
            return Ok(());
        }
        Err(format!(
            "{id} went back from revision {} ({:?}) to {revision} ({count:?})",
            last.0, last.1
        ))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(revision: u64, count: u64) -> Value {
        json!({
            "task_id": "t", "revision": revision, "message": count.to_string(),
            "progress": {"current": count}, "stale": false,
        })
    }

    #[test]
    fn a_client_is_not_shown_an_older_revision() {
        let (oracle, mut view) = (Oracle::default(), View::default());
        oracle.check_shown(&mut view, &shown(2, 1)).unwrap();
        oracle.check_shown(&mut view, &shown(2, 1)).unwrap();
        oracle.check_shown(&mut view, &shown(1, 0)).unwrap_err();
        let mut other = View::default();
        oracle.check_shown(&mut other, &shown(1, 0)).unwrap();
        oracle
            .check_shown(&mut View::that_may_go_back(), &shown(1, 0))
            .unwrap();
    }

    #[test]
    fn one_revision_is_one_state() {
        let oracle = Oracle::default();
        oracle.check_listed(&shown(1, 0)).unwrap();
        let mut stale = shown(1, 0);
        stale["stale"] = json!(true);
        oracle.check_listed(&stale).unwrap();
        oracle.check_listed(&shown(1, 5)).unwrap_err();
    }

    #[test]
    fn a_shown_count_was_requested() {
        let (oracle, mut view) = (Oracle::default(), View::default());
        let task_id = "t".parse().unwrap();
        oracle.request_count(&task_id, 3);
        oracle.check_shown(&mut view, &shown(2, 3)).unwrap();
        oracle.check_shown(&mut view, &shown(3, 4)).unwrap_err();
        let mut half_written = shown(4, 3);
        half_written["message"] = json!("2");
        oracle.check_shown(&mut view, &half_written).unwrap_err();
    }

    #[test]
    fn two_changes_are_not_one_revision() {
        let oracle = Oracle::default();
        let task_id: TaskId = "t".parse().unwrap();
        oracle.check_written(&task_id, Revision(2), 7).unwrap();
        oracle.check_written(&task_id, Revision(2), 7).unwrap();
        oracle.check_written(&task_id, Revision(2), 8).unwrap_err();
    }
}
