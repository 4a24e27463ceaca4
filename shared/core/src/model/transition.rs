//! The changes of a task that others want to hear of.

use serde::{Deserialize, Serialize};

use super::{Task, TaskStatus};

/// What the write of a task may bring about that others want to hear of: an end, or the end of a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transition {
    /// The task has ended well.
    Completed,
    /// The task has ended badly.
    Failed,
    /// The task was ended by decision.
    Cancelled,
    /// The task is no longer blocked, and has not ended.
    Unblocked,
}

impl Transition {
    /// What the write that made `next` of `previous` (`None`: there was no task) has brought about.
    ///
    /// A run ends once: what is written of it after its end is no further transition, even if its status is then
    /// another, or its beginning turns out to have been earlier. Only a later run ends anew.
    pub fn of(previous: Option<&Task>, next: &Task) -> Option<Self> {
        // Revisions of one task only grow: this is another task, made where one of its id had expired.
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

    /// The transition of a write that begins another run, `ms` after the present one began.
    fn to_run(from: TaskStatus, to: TaskStatus, ms: i64) -> Option<Transition> {
        let previous = task(from);
        let next = next_of(&previous, |task| {
            task.status = to;
            task.run = moment(ms).to_string();
        });
        Transition::of(Some(&previous), &next)
    }

    /// What `to` ends as, if it is an end.
    fn end(to: TaskStatus) -> Option<Transition> {
        let end = ENDS.iter().find(|(status, _)| *status == to);
        end.map(|(_, transition)| *transition)
    }

    #[test]
    fn every_pair_of_statuses_is_the_transition_that_its_names_tell() {
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
    fn a_task_that_is_made_ended_has_ended_and_no_new_task_is_unblocked() {
        for to in TaskStatus::ALL.iter().copied() {
            assert_eq!(Transition::of(None, &task(to)), end(to), "{to}");
        }
    }

    #[test]
    fn a_later_run_ends_anew_even_if_it_is_first_heard_of_at_its_end() {
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
    fn a_run_that_turns_out_to_have_begun_earlier_has_not_ended_again() {
        for (from, _) in ENDS {
            for (to, _) in ENDS {
                assert_eq!(to_run(from, to, -1), None, "{from} to {to}");
            }
        }
    }

    #[test]
    fn a_write_that_only_counts_up_is_no_transition() {
        for status in TaskStatus::ALL.iter().copied() {
            assert_eq!(within_a_run(status, status), None, "{status}");
        }
    }

    #[test]
    fn a_task_made_anew_where_one_had_expired_has_no_past() {
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
