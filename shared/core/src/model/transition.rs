//! Changes of a task that are published as events.

use serde::{Deserialize, Serialize};

use super::{Task, TaskStatus};

/// A change of status that is published as an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transition {
    /// The task completed.
    Completed,
    /// The task failed.
    Failed,
    /// The task was cancelled.
    Cancelled,
    /// The task is no longer blocked and has not ended.
    Unblocked,
}

impl Transition {
    /// Returns the transition of a write that replaces `previous` (`None`: a new task) with `next`.
    ///
    /// Each run ends once. Later writes of an ended run are no transition, even if they change its
    /// status or find an earlier start. Only a later run can end again.
    pub fn of(previous: Option<&Task>, next: &Task) -> Option<Self> {
        // Revisions of one task only grow. A lower revision means that the old task expired and
        // that this is a new task with the same id.
        let previous = previous.filter(|previous| previous.revision < next.revision);
        let ended = match next.status {
            TaskStatus::Completed => Some(Self::Completed),
            TaskStatus::Failed => Some(Self::Failed),
            TaskStatus::Cancelled => Some(Self::Cancelled),
            TaskStatus::Pending | TaskStatus::Running | TaskStatus::Blocked => None,
        };
        let has_ended_before =
            |previous: &Task| previous.status.is_terminal() && next.run <= previous.run;
        let was_blocked = previous.is_some_and(|task| task.status == TaskStatus::Blocked);
        match ended {
            Some(_) if previous.is_some_and(has_ended_before) => None,
            Some(end) => Some(end),
            None if was_blocked && next.status != TaskStatus::Blocked => Some(Self::Unblocked),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Revision;
    use crate::model::Timestamp;

    const ENDS: [(TaskStatus, Transition); 3] = [
        (TaskStatus::Completed, Transition::Completed),
        (TaskStatus::Failed, Transition::Failed),
        (TaskStatus::Cancelled, Transition::Cancelled),
    ];

    fn moment(ms: i64) -> Timestamp {
        Timestamp::from_millis(1_790_000_000_000 + ms)
    }

    fn task(status: TaskStatus) -> Task {
        let now = moment(0).to_string();
        let task = serde_json::json!({
            "task_id": "t", "task_name": "T", "task_type": "cdk_deploy", "status": status,
            "progress": {}, "run": now, "revision": 1, "created_at": now, "updated_at": now,
        });
        serde_json::from_value(task).unwrap()
    }

    fn next_of(task: &Task, change: impl FnOnce(&mut Task)) -> Task {
        let mut next = task.clone();
        next.revision = task.revision.next();
        next.updated_at = Timestamp::from_millis(task.updated_at.as_millis() + 1000);
        change(&mut next);
        next
    }

    /// The transition of a write within a run.
    fn within_a_run(from: TaskStatus, to: TaskStatus) -> Option<Transition> {
        let previous = task(from);
        let next = next_of(&previous, |task| task.status = to);
        Transition::of(Some(&previous), &next)
    }

    /// The transition of a write that starts another run, `ms` after the start of the current one.
    fn to_run(from: TaskStatus, to: TaskStatus, ms: i64) -> Option<Transition> {
        let previous = task(from);
        let next = next_of(&previous, |task| {
            task.status = to;
            task.run = moment(ms).to_string();
        });
        Transition::of(Some(&previous), &next)
    }

    /// The transition to `to`, if it is terminal.
    fn end(to: TaskStatus) -> Option<Transition> {
        let end = ENDS.iter().find(|(status, _)| *status == to);
        end.map(|(_, transition)| *transition)
    }

    #[test]
    fn every_pair_of_statuses_has_the_expected_transition() {
        use TaskStatus::{Blocked, Pending, Running};
        for from in TaskStatus::ALL.iter().copied() {
            for to in TaskStatus::ALL.iter().copied() {
                let expected = match (from, to) {
                    (from, _) if from.is_terminal() => None,
                    (Blocked, Pending | Running) => Some(Transition::Unblocked),
                    (_, to) => end(to),
                };
                assert_eq!(within_a_run(from, to), expected, "{from} to {to}");
            }
        }
    }

    #[test]
    fn a_new_task_may_end_but_is_never_unblocked() {
        for to in TaskStatus::ALL.iter().copied() {
            assert_eq!(Transition::of(None, &task(to)), end(to), "{to}");
        }
    }

    #[test]
    fn a_later_run_ends_again_even_if_its_first_write_is_its_end() {
        for (from, _) in ENDS {
            for (to, expected) in ENDS {
                assert_eq!(to_run(from, to, 1), Some(expected), "{from} to {to}");
            }
            assert_eq!(to_run(from, TaskStatus::Running, 1), None, "{from}");
        }
        let unblocked = to_run(TaskStatus::Blocked, TaskStatus::Running, 1);
        assert_eq!(unblocked, Some(Transition::Unblocked));
    }

    #[test]
    fn a_run_with_an_earlier_start_than_known_does_not_end_again() {
        for (from, _) in ENDS {
            for (to, _) in ENDS {
                assert_eq!(to_run(from, to, -1), None, "{from} to {to}");
            }
        }
    }

    #[test]
    fn a_write_without_a_new_status_is_no_transition() {
        for status in TaskStatus::ALL.iter().copied() {
            assert_eq!(within_a_run(status, status), None, "{status}");
        }
    }

    #[test]
    fn a_task_that_replaces_an_expired_one_has_no_previous_state() {
        for from in TaskStatus::ALL.iter().copied() {
            let expired = Task {
                revision: Revision(9),
                ..task(from)
            };
            for to in TaskStatus::ALL.iter().copied() {
                let made = task(to);
                let transition = Transition::of(Some(&expired), &made);
                assert_eq!(transition, end(to), "{from} to {to}");
            }
        }
    }
}
