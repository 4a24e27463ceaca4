//! Keeps the newest run of a task as one item beside the task, until earlier runs are stored too.

use serde::{Deserialize, Serialize};

use super::fact_log::{LATEST_FACTS, MOST_FACTS};
use super::pass::Pass;
use super::run::Run;
use super::{CallerEdit, Fact, FactLog, KeyedFact, LineKey};
use crate::model::{Progress, Revision, Task, TaskStatus, Timestamp};

/// The largest ledger with facts, in bytes of JSON. It is stored compressed in an item of DynamoDB,
/// which has at most 400 KB
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>). Text
/// without any pattern still shrinks by a sixth, because a byte of it has fewer than 7 bits of
/// information. A state alone may have up to 600 KB, most of it keys, which shrink to a third.
pub(super) const MAX_BYTES: usize = 450_000;

/// The facts of a task, and what its storage must know.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ledger {
    log: FactLog,
    /// Whether a caller created the task before its logs reported to it. Then the name stays the
    /// caller's.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) adopted: bool,
    /// The last revision of the deleted task. A later run continues from it, so that copies of the
    /// deleted task are recognized as outdated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) deleted_revision: Option<Revision>,
    /// Whether the log is complete: no more lines will follow.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    whole_log: bool,
}

impl Ledger {
    /// Creates a ledger of facts that are in any order.
    pub fn of(facts: Vec<KeyedFact>) -> Self {
        Self {
            log: facts.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Whether the ledger holds nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Records that a caller created the task, not its log.
    pub fn mark_adopted(&mut self) {
        self.adopted = true;
    }

    /// Records that logs now report to `task`, which a caller created. The caller's values are
    /// valid until the log has a later line.
    pub fn adopt(&mut self, task: &Task) {
        self.mark_adopted();
        if task.status == TaskStatus::Pending {
            return; // nothing was set yet
        }
        let edit = CallerEdit {
            status: Some(task.status),
            progress: (task.progress != Progress::default()).then_some(task.progress),
            message: task.message.clone().map(Some),
            phase: task.phase.clone().map(Some),
            current_step: task.current_step.clone().map(Some),
            task_name: None,
        };
        self.note(edit, task.updated_at);
    }

    /// Adds an edit of `task` that a caller made at `now`.
    pub fn edit(&mut self, task: &Task, edit: &CallerEdit, now: Timestamp) {
        let Ok(edited) = edit.apply(task, now) else {
            return; // an invalid edit has no effect
        };
        let noted = CallerEdit {
            // An unchanged status was set by an earlier line or edit.
            status: edit.status.filter(|status| *status != task.status),
            // Includes the percentage reached before.
            progress: edit.progress.map(|_| edited.progress),
            ..edit.clone()
        };
        self.note(noted, CallerEdit::time(task, now));
    }

    fn note(&mut self, edit: CallerEdit, time: Timestamp) {
        self.insert(LineKey::outside_logs(time), Fact::Edit(edit));
    }

    /// Records that `task` was deleted at `now`. Nothing before that time can create it again.
    pub fn delete(&mut self, task: &Task, now: Timestamp) {
        let deleted_at = LineKey::outside_logs(CallerEdit::time(task, now));
        self.insert(deleted_at, Fact::Deletion);
        self.delete_again(task);
    }

    /// Records that `task` turned out to be part of the deleted task.
    pub fn delete_again(&mut self, task: &Task) {
        self.deleted_revision = self.deleted_revision.max(Some(task.revision));
    }

    /// The last revision of the deleted task; `None` if no task was deleted.
    pub fn deleted_revision(&self) -> Option<Revision> {
        self.deleted_revision
    }

    /// Creates the ledger of a deleted task from the revision of its tombstone.
    pub fn of_tombstone(revision: Revision) -> Self {
        Self {
            deleted_revision: Some(Revision(revision.0.saturating_sub(1))),
            ..Self::default()
        }
    }

    /// Increments the revision of the deleted task, because it got more lines.
    pub fn count_deletion(&mut self) {
        self.deleted_revision = self.deleted_revision.map(Revision::next);
    }

    /// Records that the log is complete, so that a stack which is only cleaning up counts as
    /// completed.
    pub fn mark_whole_log(&mut self) {
        self.whole_log = true;
    }

    /// The facts after the watermark, in order.
    pub fn facts(&self) -> &[KeyedFact] {
        self.log.facts()
    }

    /// Adds a fact.
    pub fn insert(&mut self, at: LineKey, fact: Fact) {
        self.log.add([(at, fact)]);
    }

    /// Adds the facts of `other`, which has no facts before a watermark.
    pub fn merge(&mut self, other: Self) {
        self.log.add(other.log.into_facts());
        self.adopted |= other.adopted;
        self.deleted_revision = self.deleted_revision.max(other.deleted_revision);
        self.whole_log |= other.whole_log;
    }

    /// See [`FactLog::compact`].
    pub fn compact(&mut self, latest: usize, most: usize) {
        self.log.compact(latest, most);
    }

    /// Shrinks the ledger until it can be stored. Only hostile logs lose facts that may still be
    /// out of order.
    pub fn trim(&mut self) {
        self.compact(LATEST_FACTS, MOST_FACTS);
        while serde_json::to_vec(self).is_ok_and(|json| json.len() > MAX_BYTES) {
            let most = self.log.facts().len() / 2;
            if most == 0 {
                return;
            }
            self.compact(most, most);
        }
    }

    /// The newest run, and the state of the pass without it; `None` if no line so far belongs to a
    /// run.
    pub(super) fn newest_run(&self) -> Option<(Run, Pass)> {
        let mut pass = self.log.pass();
        let run = pass.run.take().filter(Run::is_shown)?;
        Some(match self.whole_log {
            true => (run.at_end_of_log(), pass),
            false => (run, pass),
        })
    }
}
