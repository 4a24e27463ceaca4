//! Edits that callers of the API make to a task.
//!
//! An edit of a task with logs is a fact, so that the next line does not undo it. An edited field is valid until the log has a later line. A terminal status is valid
//! until a later run starts.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use super::LineKey;
use super::progress::{capped, shown_progress};
use crate::model::{Progress, Task, TaskStatus, Timestamp};

/// An edit of a task by a caller of the API. `None` leaves a field unchanged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CallerEdit {
    /// The display name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_name: Option<String>,
    /// The status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<TaskStatus>,
    /// The progress.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// The message; `Some(None)` removes it.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub message: Option<Option<String>>,
    /// The current activity; `Some(None)` removes it.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub phase: Option<Option<String>>,
    /// The current step; `Some(None)` removes it.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
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

/// The latest edit of each field in a run, and its key.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Edits {
    /// The latest edit of any field.
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<LineKey>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<(LineKey, TaskStatus)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<(LineKey, Progress)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<(LineKey, Option<String>)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phase: Option<(LineKey, Option<String>)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_step: Option<(LineKey, Option<String>)>,
}

impl Edits {
    pub(super) fn is_empty(&self) -> bool {
        self.last.is_none()
    }

    /// Whether a caller has ended the run.
    pub(super) fn has_end(&self) -> bool {
        self.status.is_some_and(|(_, status)| status.is_terminal())
    }

    /// Adds the next edit.
    pub(super) fn note(&mut self, edit: &CallerEdit, at: LineKey) {
        fn put<T: Clone>(held: &mut Option<(LineKey, T)>, at: LineKey, edited: Option<&T>) {
            if let Some(edited) = edited {
                *held = Some((at, edited.clone()));
            }
        }
        self.last = Some(at);
        put(&mut self.status, at, edit.status.as_ref());
        put(&mut self.progress, at, edit.progress.as_ref());
        put(&mut self.message, at, edit.message.as_ref());
        put(&mut self.phase, at, edit.phase.as_ref());
        put(&mut self.current_step, at, edit.current_step.as_ref());
    }

    /// Applies the edits to `task` as derived from its logs. The current run started at `run`, and
    /// the last line is at `last`.
    pub(super) fn apply(&self, task: &mut Task, run: LineKey, last: LineKey) {
        let Some(last_edit) = self.last else {
            return;
        };
        let of_run = |at: LineKey| at >= run;
        let end = self
            .status
            .filter(|(at, status)| of_run(*at) && status.is_terminal());
        // An edit is valid if no line came after it, or if the task was ended by an edit.
        let holds = |at: LineKey| of_run(at) && (at >= last || end.is_some());
        if let Some((_, status)) = self.status.filter(|(at, _)| holds(*at))
            && (end.is_some() || !task.status.is_terminal())
        {
            task.status = status;
            task.completed_at = end.map(|(at, _)| at.time());
        }
        task.progress = capped(task.progress, task.status);
        if let Some((at, progress)) = self.progress
            && of_run(at)
        {
            let edited = capped(progress, task.status);
            if holds(at) {
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
            if let Some((_, edited)) = edited.as_ref().filter(|(at, _)| holds(*at)) {
                held.clone_from(edited);
            }
        }
        task.updated_at = task.updated_at.max(last_edit.time());
        if let Some(started_at) = task.started_at {
            let last = task.completed_at.unwrap_or(task.updated_at);
            task.duration_ms = Some(last.millis_since(started_at));
        }
    }
}

/// Reads a field that is present as `Some`, also if it is null.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}
