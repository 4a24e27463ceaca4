//! Edits that callers of the API make to a task.
//!
//! The ledger of a task with logs keeps each edit with its time, so that the next line does not
//! undo it. An edited field is valid until the log has a later line. A terminal status is valid
//! until a later run starts.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::LineKey;
use super::last_write_wins::LastWriteWins;
use super::progress::{capped, shown_progress};
use crate::model::{Progress, Revision, Task, TaskStatus, Timestamp};

/// An edit of a task by a caller of the API. `None` leaves a field unchanged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallerEdit {
    /// The display name.
    pub task_name: Option<String>,
    /// The status.
    pub status: Option<TaskStatus>,
    /// The progress.
    pub progress: Option<Progress>,
    /// The message; `Some(None)` removes it.
    pub message: Option<Option<String>>,
    /// The current activity; `Some(None)` removes it.
    pub phase: Option<Option<String>>,
    /// The current step; `Some(None)` removes it.
    pub current_step: Option<Option<String>>,
}

/// The error for a status that must not follow the current one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a task that is {from} can't become {to}")]
pub struct InvalidTransition {
    /// The current status.
    pub from: TaskStatus,
    /// The requested status.
    pub to: TaskStatus,
}

impl CallerEdit {
    /// Returns `task` with this edit applied at `now`. The revision stays the same.
    ///
    /// # Errors
    ///
    /// [`InvalidTransition`] if the status of the task must not change to the requested one.
    pub fn apply(&self, task: &Task, now: Timestamp) -> Result<Task, InvalidTransition> {
        let at = Self::time(task, now);
        let mut next = task.clone();
        if let Some(to) = self.status.filter(|to| *to != task.status) {
            let from = task.status;
            if !from.may_become(to) {
                return Err(InvalidTransition { from, to });
            }
            next.status = to;
            if to == TaskStatus::Running || to.is_terminal() {
                next.started_at = task.started_at.or(Some(at));
            }
            if to.is_terminal() {
                next.completed_at = Some(at);
            }
        }
        if let Some(name) = &self.task_name {
            next.task_name.clone_from(name);
        }
        next.progress = match self.progress {
            Some(given) => shown_progress(given, next.status),
            None => capped(task.progress, next.status),
        };
        if !next.status.is_terminal() {
            keep_percentage(&mut next.progress, task.progress.percentage);
        }
        let texts = [
            (&mut next.message, &self.message),
            (&mut next.phase, &self.phase),
            (&mut next.current_step, &self.current_step),
        ];
        for (held, edited) in texts {
            if let Some(edited) = edited {
                held.clone_from(edited);
            }
        }
        if next != *task {
            next.updated_at = at;
            next.duration_ms = next
                .started_at
                .map(|started_at| next.completed_at.unwrap_or(at).millis_since(started_at));
        }
        Ok(next)
    }

    /// The time of an edit of `task` at `now`. It is always later than the last change of the task,
    /// also if the clock is behind. Otherwise the edit would have no effect.
    pub fn time(task: &Task, now: Timestamp) -> Timestamp {
        now.max(task.updated_at.after(Duration::from_millis(1)))
    }
}

/// Keeps the percentage from falling.
fn keep_percentage(progress: &mut Progress, reached: Option<u8>) {
    if progress.percentage.is_some() {
        progress.percentage = progress.percentage.max(reached);
    }
}

/// The latest edit of each field of a task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Edits {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    task_name: Option<LastWriteWins<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<LastWriteWins<TaskStatus>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    progress: Option<LastWriteWins<Progress>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message: Option<LastWriteWins<Option<String>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    phase: Option<LastWriteWins<Option<String>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    current_step: Option<LastWriteWins<Option<String>>>,
    /// When the task was deleted. Everything up to then belongs to the deleted task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) deleted_at: Option<Timestamp>,
    /// The last revision of the deleted task. A later run continues from it, so that copies of the
    /// deleted task are recognized as outdated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) deleted_revision: Option<Revision>,
}

impl Edits {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds an edit made at `time`.
    pub(super) fn note(&mut self, edit: &CallerEdit, time: Timestamp) {
        fn put<T: Ord + Clone>(
            held: &mut Option<LastWriteWins<T>>,
            at: LineKey,
            edited: Option<&T>,
        ) {
            if let Some(edited) = edited {
                LastWriteWins::put(held, LastWriteWins::new(at, edited.clone()));
            }
        }
        let at = LineKey::outside_logs(time);
        put(&mut self.task_name, at, edit.task_name.as_ref());
        put(&mut self.status, at, edit.status.as_ref());
        put(&mut self.progress, at, edit.progress.as_ref());
        put(&mut self.message, at, edit.message.as_ref());
        put(&mut self.phase, at, edit.phase.as_ref());
        put(&mut self.current_step, at, edit.current_step.as_ref());
    }

    pub(super) fn merge(&mut self, other: &Self) {
        LastWriteWins::merge(&mut self.task_name, other.task_name.as_ref());
        LastWriteWins::merge(&mut self.status, other.status.as_ref());
        LastWriteWins::merge(&mut self.progress, other.progress.as_ref());
        LastWriteWins::merge(&mut self.message, other.message.as_ref());
        LastWriteWins::merge(&mut self.phase, other.phase.as_ref());
        LastWriteWins::merge(&mut self.current_step, other.current_step.as_ref());
        self.deleted_at = self.deleted_at.max(other.deleted_at);
        self.deleted_revision = self.deleted_revision.max(other.deleted_revision);
    }

    /// Applies the edits to `task` as derived from its logs. The current run started at `run`, and
    /// the last line is at `last`.
    pub(super) fn apply(&self, task: &mut Task, run: LineKey, last: LineKey) {
        if let Some(name) = &self.task_name {
            task.task_name.clone_from(&name.value);
        }
        let of_run = |at: LineKey| at >= run;
        let end = self
            .status
            .as_ref()
            .filter(|status| of_run(status.at) && status.value.is_terminal());
        // An edit is valid if no line came after it, or if the task was ended by an edit.
        let holds = |at: LineKey| of_run(at) && (at >= last || end.is_some());
        if let Some(status) = self.status.as_ref().filter(|status| holds(status.at))
            && (end.is_some() || !task.status.is_terminal())
        {
            task.status = status.value;
            task.completed_at = end.map(|end| end.at.time());
        }
        task.progress = capped(task.progress, task.status);
        if let Some(progress) = &self.progress
            && of_run(progress.at)
        {
            let edited = capped(progress.value, task.status);
            if holds(progress.at) {
                task.progress = edited;
            } else if !task.status.is_terminal() {
                keep_percentage(&mut task.progress, edited.percentage);
            }
        }
        let texts = [
            (&mut task.message, &self.message),
            (&mut task.phase, &self.phase),
            (&mut task.current_step, &self.current_step),
        ];
        for (held, edited) in texts {
            if let Some(edited) = edited.as_ref().filter(|edited| holds(edited.at)) {
                held.clone_from(&edited.value);
            }
        }
        task.updated_at = task.updated_at.max(self.last().unwrap_or_default());
        if let Some(started_at) = task.started_at {
            let last = task.completed_at.unwrap_or(task.updated_at);
            task.duration_ms = Some(last.millis_since(started_at));
        }
    }

    /// The time of the last edit.
    fn last(&self) -> Option<Timestamp> {
        let texts = [&self.message, &self.phase, &self.current_step];
        let texts = texts.into_iter().flatten().map(|edit| edit.at);
        let others = [
            self.task_name.as_ref().map(|edit| edit.at),
            self.status.as_ref().map(|edit| edit.at),
            self.progress.as_ref().map(|edit| edit.at),
        ];
        let last = others.into_iter().flatten().chain(texts).max();
        last.map(LineKey::time)
    }
}
