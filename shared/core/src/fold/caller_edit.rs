//! Edits that callers of the API make to a task.
//!
//! An edit is a fact. An edited field is valid until the log has a later line. A terminal status is
//! valid until a later run starts.

use serde::{Deserialize, Deserializer, Serialize};

use super::LineKey;
use super::progress::shown_progress;
use crate::log_parser::text::head;
use crate::model::{Failure, MAX_CAUSE_BYTES, Progress, Task, TaskStatus};

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
    /// The edit as it is stored for `task`: with the percentage that the progress shows, and without
    /// a status that the task has already.
    ///
    /// # Errors
    ///
    /// [`InvalidTransition`] if the status of the task must not change to the requested one.
    pub fn of_task(self, task: &Task) -> Result<Self, InvalidTransition> {
        let status = self.status.filter(|to| *to != task.status);
        let may_become = |to: TaskStatus| task.is_assumed || task.status.may_become(to);
        if let Some(to) = status.filter(|to| !may_become(*to)) {
            let from = task.status;
            return Err(InvalidTransition { from, to });
        }
        let next_status = status.unwrap_or(task.status);
        let progress = self.progress.map(|given| {
            let mut progress = shown_progress(given, next_status);
            if !next_status.is_terminal() {
                keep_percentage(&mut progress, task.progress.percentage);
            }
            progress
        });
        Ok(Self {
            status,
            progress,
            ..self
        })
    }
}

/// Keeps the percentage from falling, unless it follows from a count.
fn keep_percentage(progress: &mut Progress, reached: Option<u8>) {
    let is_counted = progress.current.is_some() && progress.total.is_some();
    if progress.percentage.is_some() && !is_counted {
        progress.percentage = progress.percentage.max(reached);
    }
}

/// The latest edit of each field in a run, and its key.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Edits {
    /// The latest edit of any field.
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<LineKey>,
    /// The first edit after which the run has begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    started: Option<LineKey>,
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
        let starts = |status: TaskStatus| status == TaskStatus::Running || status.is_terminal();
        if edit.status.is_some_and(starts) {
            self.started = self.started.or(Some(at));
        }
        put(&mut self.status, at, edit.status.as_ref());
        put(&mut self.progress, at, edit.progress.as_ref());
        put(&mut self.message, at, edit.message.as_ref());
        put(&mut self.phase, at, edit.phase.as_ref());
        put(&mut self.current_step, at, edit.current_step.as_ref());
    }

    /// Applies the edits to `task` as derived from its lines, of which the last is at `last`.
    pub(crate) fn apply(&self, task: &mut Task, last: LineKey) {
        let Some(last_edit) = self.last else {
            return;
        };
        let end = self.status.filter(|(_, status)| status.is_terminal());
        // An edit is valid if no line came after it, or if the task was ended by an edit.
        let holds = |at: LineKey| at >= last || end.is_some();
        if let Some((_, status)) = self.status.filter(|(at, _)| holds(*at))
            && (end.is_some() || !task.status.is_terminal())
        {
            task.status = status;
            task.is_assumed = false;
            task.completed_at = end.map(|(at, _)| at.time());
        }
        task.progress = shown_progress(task.progress, task.status);
        if let Some((at, progress)) = self.progress {
            let edited = shown_progress(progress, task.status);
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
        self.apply_to_failure(task);
        task.updated_at = task.updated_at.max(last_edit.time());
        if let Some(started) = self.started {
            let started = started.time();
            task.started_at = Some(task.started_at.map_or(started, |first| first.min(started)));
        }
        if let Some(started_at) = task.started_at {
            let last = task.completed_at.unwrap_or(task.updated_at);
            task.duration_ms = Some(last.millis_since(started_at));
        }
    }

    /// A run that has ended otherwise has no failure. If only the caller says that it has failed, the
    /// message that came with it says why.
    fn apply_to_failure(&self, task: &mut Task) {
        if task.status.is_terminal() && task.status != TaskStatus::Failed {
            task.failure = None;
        }
        if task.failure.is_none()
            && let Some((ended_at, TaskStatus::Failed)) = self.status
            && let Some((said_at, Some(message))) = &self.message
            && *said_at >= ended_at
        {
            let cause = head(message, MAX_CAUSE_BYTES).to_owned();
            task.failure = Some(Box::new(Failure::new(cause, ended_at.time())));
        }
    }
}

/// Reads a field that is present as `Some`, also if it is null.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}
