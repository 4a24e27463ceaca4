//! What was decided outside the logs: by a caller of the API.
//!
//! A decision is one more thing that was said of a task, at its moment. A task that its logs report keeps it
//! in the ledger, so that the next line does not undo it: what a caller says holds until the log says
//! something later, and an end holds until a later run begins.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::LineKey;
use super::counter::percentage_of;
use super::latest::Latest;
use super::report::shown as capped;
use crate::model::{Progress, Revision, Task, TaskStatus, Timestamp};

/// A change that a caller makes to a task. `None`: left as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallerEdit {
    /// The name for people.
    pub task_name: Option<String>,
    /// Where the task stands.
    pub status: Option<TaskStatus>,
    /// How far it is.
    pub progress: Option<Progress>,
    /// The message; `Some(None)` takes it away.
    pub message: Option<Option<String>>,
    /// What is being done; `Some(None)` takes it away.
    pub phase: Option<Option<String>>,
    /// The step it is at; `Some(None)` takes it away.
    pub current_step: Option<Option<String>>,
}

/// A status that can't follow the present one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a task that is {from} can't become {to}")]
pub struct InvalidTransition {
    /// The present status.
    pub from: TaskStatus,
    /// The one asked for.
    pub to: TaskStatus,
}

impl CallerEdit {
    /// `task` as this edit, made at `now`, leaves it: of the same revision.
    ///
    /// # Errors
    ///
    /// [`InvalidTransition`] if the task can't become what it is to be.
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

    /// When an edit of `task` at `now` counts as made: after all that is known of the task, so that a clock
    /// which is behind does not make it void, and history has an entry for each.
    pub fn time(task: &Task, now: Timestamp) -> Timestamp {
        now.max(task.updated_at.after(Duration::from_millis(1)))
    }
}

/// Progress with the percentage that follows from it; the given one counts only where none follows. 100 is
/// for completed tasks, and for these alone.
pub fn shown_progress(progress: Progress, status: TaskStatus) -> Progress {
    let derived = progress
        .current
        .zip(progress.total)
        .and_then(|(current, total)| percentage_of(current, total));
    let percentage = derived.or(progress.percentage);
    capped(
        Progress {
            percentage,
            ..progress
        },
        status,
    )
}

/// A percentage does not fall while a run goes forward.
fn keep_percentage(progress: &mut Progress, reached: Option<u8>) {
    if progress.percentage.is_some() {
        progress.percentage = progress.percentage.max(reached);
    }
}

/// The edits of a task, each field's latest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Edits {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    task_name: Option<Latest<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<Latest<TaskStatus>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    progress: Option<Latest<Progress>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message: Option<Latest<Option<String>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    phase: Option<Latest<Option<String>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    current_step: Option<Latest<Option<String>>>,
    /// Until when all that was said is of a task that was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) deleted_at: Option<Timestamp>,
    /// The last revision of the task that was deleted: a later run goes on counting from it, so that whoever still
    /// holds the deleted one finds it old.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) deleted_revision: Option<Revision>,
}

impl Edits {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds an edit that was made at a moment.
    pub(super) fn note(&mut self, edit: &CallerEdit, time: Timestamp) {
        fn put<T: Ord + Clone>(held: &mut Option<Latest<T>>, at: LineKey, edited: Option<&T>) {
            if let Some(edited) = edited {
                Latest::put(held, Latest::new(at, edited.clone()));
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
        Latest::merge(&mut self.task_name, other.task_name.as_ref());
        Latest::merge(&mut self.status, other.status.as_ref());
        Latest::merge(&mut self.progress, other.progress.as_ref());
        Latest::merge(&mut self.message, other.message.as_ref());
        Latest::merge(&mut self.phase, other.phase.as_ref());
        Latest::merge(&mut self.current_step, other.current_step.as_ref());
        self.deleted_at = self.deleted_at.max(other.deleted_at);
        self.deleted_revision = self.deleted_revision.max(other.deleted_revision);
    }

    /// Makes `task`, which is as the logs have it, what callers have made of it: the present run began at
    /// `run`, and the last line is at `last`.
    pub(super) fn apply(&self, task: &mut Task, run: LineKey, last: LineKey) {
        if let Some(name) = &self.task_name {
            task.task_name.clone_from(&name.value);
        }
        let of_run = |at: LineKey| at >= run;
        let end = self
            .status
            .as_ref()
            .filter(|status| of_run(status.at) && status.value.is_terminal());
        // What holds: nothing was said after it, or nothing that was said after it counts.
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

    /// When the last edit was made.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(current: u64, total: u64, status: TaskStatus, expected: Option<u8>) {
        let progress = Progress {
            current: Some(current),
            total: Some(total),
            percentage: None,
        };
        let shown = shown_progress(progress, status);
        assert_eq!(shown.percentage, expected, "{current} of {total}");
    }

    #[test]
    fn a_percentage_is_rounded_down_and_full_only_at_the_end() {
        check(5, 29, TaskStatus::Running, Some(17));
        check(29, 29, TaskStatus::Running, Some(99));
        check(29, 29, TaskStatus::Failed, Some(99));
        check(28, 29, TaskStatus::Completed, Some(100));
        check(0, 0, TaskStatus::Running, None);
        check(u64::MAX, 1, TaskStatus::Running, Some(99));
        check(u64::MAX / 2, u64::MAX, TaskStatus::Running, Some(49));
    }

    #[test]
    fn a_given_percentage_counts_where_none_follows() {
        let given = Progress {
            percentage: Some(100),
            ..Progress::default()
        };
        assert_eq!(
            shown_progress(given, TaskStatus::Running).percentage,
            Some(99)
        );
        let none = shown_progress(Progress::default(), TaskStatus::Pending);
        assert_eq!(none, Progress::default());
    }
}
