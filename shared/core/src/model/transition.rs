//! Changes of a task that are published as events.

use serde::{Deserialize, Serialize};

use super::{Task, TaskStatus};

/// A change of status that is published as an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transition {
    /// The run completed.
    Completed,
    /// The run failed.
    Failed,
    /// The run was cancelled.
    Cancelled,
    /// The log of the run has ended, and does not say how the run went.
    Ended,
    /// The run has been silent for so long that its end is assumed.
    Silent,
    /// The run waits for a person or for another system.
    Blocked,
    /// The run is no longer blocked and has not ended.
    Unblocked,
}

impl Transition {
    /// Returns the transition of a write that replaces `previous` (`None`: nothing) with `next`.
    ///
    /// A run ends once, unless later evidence shows another end: then it ends again, and
    /// [`Task::corrections`] is above 0. Nothing that another run did matters.
    pub fn of(previous: Option<&Task>, next: &Task) -> Option<Self> {
        let previous = previous.filter(|previous| previous.run == next.run);
        let end_of = |task: &Task| (task.status, task.is_assumed);
        if previous.map(end_of) == Some(end_of(next)) {
            return None;
        }
        let previous = previous.map(|previous| previous.status);
        match next.status {
            status if status.is_terminal() && next.is_assumed => Some(Self::Silent),
            TaskStatus::Completed => Some(Self::Completed),
            TaskStatus::Failed => Some(Self::Failed),
            TaskStatus::Cancelled => Some(Self::Cancelled),
            TaskStatus::Ended => Some(Self::Ended),
            TaskStatus::Blocked => Some(Self::Blocked),
            TaskStatus::Pending | TaskStatus::Running => {
                (previous == Some(TaskStatus::Blocked)).then_some(Self::Unblocked)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    fn task(status: TaskStatus) -> Task {
        let now = "2026-11-21T09:30:00.000Z";
        let task = serde_json::json!({
            "task_id": "t", "task_name": "T", "task_type": "cdk_deploy", "status": status,
            "progress": {}, "run": now, "revision": 1, "created_at": now, "updated_at": now,
        });
        serde_json::from_value(task).unwrap()
    }

    /// The transition of a write within a run.
    fn within_a_run(from: TaskStatus, to: TaskStatus) -> Option<Transition> {
        Transition::of(Some(&task(from)), &task(to))
    }

    /// The transition of a run whose first state is `to`.
    fn at_first(to: TaskStatus) -> Option<Transition> {
        match to {
            TaskStatus::Pending | TaskStatus::Running => None,
            TaskStatus::Blocked => Some(Transition::Blocked),
            TaskStatus::Completed => Some(Transition::Completed),
            TaskStatus::Failed => Some(Transition::Failed),
            TaskStatus::Cancelled => Some(Transition::Cancelled),
            TaskStatus::Ended => Some(Transition::Ended),
        }
    }

    #[test]
    fn every_pair_of_statuses_has_the_expected_transition() {
        use TaskStatus::{Blocked, Pending, Running};
        for from in TaskStatus::ALL.iter().copied() {
            for to in TaskStatus::ALL.iter().copied() {
                let expected = match (from, to) {
                    (from, to) if from == to => None,
                    (Blocked, Pending | Running) => Some(Transition::Unblocked),
                    (_, to) => at_first(to),
                };
                assert_eq!(within_a_run(from, to), expected, "{from} to {to}");
            }
        }
    }

    #[test]
    fn a_new_task_may_end_or_be_blocked_but_is_never_unblocked() {
        for to in TaskStatus::ALL.iter().copied() {
            assert_eq!(Transition::of(None, &task(to)), at_first(to), "{to}");
        }
    }

    #[test]
    fn an_end_is_told_once_as_assumed_and_once_for_certain() {
        let failed = task(TaskStatus::Failed);
        let assumed = Task {
            is_assumed: true,
            ..failed.clone()
        };
        let running = task(TaskStatus::Running);
        let silent = Some(Transition::Silent);
        assert_eq!(Transition::of(Some(&running), &assumed), silent);
        assert_eq!(Transition::of(Some(&assumed), &assumed), None);
        let failed_for_certain = Transition::of(Some(&assumed), &failed);
        assert_eq!(failed_for_certain, Some(Transition::Failed));
    }

    #[test]
    fn the_state_of_another_run_does_not_matter() {
        for from in TaskStatus::ALL.iter().copied() {
            for to in TaskStatus::ALL.iter().copied() {
                let other = Task {
                    run: Timestamp::from_millis(7),
                    ..task(from)
                };
                let transition = Transition::of(Some(&other), &task(to));
                assert_eq!(transition, at_first(to), "{from} to {to}");
            }
        }
    }
}
