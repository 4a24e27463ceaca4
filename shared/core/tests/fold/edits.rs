//! Property tests of edits by callers, mixed with log lines.

use progress_core::fold::{CallerEdit, Ledger, TaskOrigin, fold_into_task};
use progress_core::log_parser::LogFormat;
use progress_core::model::{Progress, Task, TaskId, TaskStatus, Timestamp};
use proptest::prelude::*;

use crate::runs::{Line, any_log};
use crate::{config, fact_of, fold};

/// The task of the log stream, derived from `ledger`.
fn task_of(previous: Option<&Task>, ledger: &Ledger) -> Option<Task> {
    let origin = TaskOrigin {
        format: LogFormat::CDK,
        log_group: "/cdk".to_owned(),
        log_stream: "main".to_owned(),
    };
    let task_id: TaskId = "cdk:main".parse().expect("it is an id");
    fold_into_task(&task_id, &origin, previous, ledger).live()
}

pub(crate) fn any_edit() -> impl Strategy<Value = CallerEdit> {
    let status = proptest::option::of(proptest::sample::select(TaskStatus::ALL.to_vec()));
    let progress = (0..20_u64, proptest::option::of(0..20_u64));
    let progress = proptest::option::of(progress.prop_map(|(current, total)| Progress {
        current: Some(current),
        total,
        percentage: None,
    }));
    let text = || proptest::option::of(proptest::option::of("[a-z]{1,4}"));
    (status, progress, text(), text(), text()).prop_map(
        |(status, progress, message, phase, current_step)| CallerEdit {
            task_name: None,
            status,
            progress,
            message,
            phase,
            current_step,
        },
    )
}

/// `ms` milliseconds after the last change of `task`.
fn later(task: &Task, ms: i64) -> Timestamp {
    Timestamp::from_millis(task.updated_at.as_millis() + ms)
}

proptest! {
    #![proptest_config(config())]

    /// The response to an edit is the same task that the next fold gives, for any clock of the
    /// caller.
    #[test]
    fn the_fold_gives_the_same_task_as_the_edit(
        log in any_log(), edits in proptest::collection::vec(any_edit(), 1..4), ms in -5_000..5_000_i64,
    ) {
        let mut ledger = fold(&log);
        let Some(mut task) = task_of(None, &ledger) else { return Ok(()) };
        for edit in &edits {
            let now = later(&task, ms);
            let Ok(mut edited) = edit.apply(&task, now) else { continue };
            ledger.edit(&task, edit, now);
            let mut folded = task_of(Some(&task), &ledger).unwrap();
            folded.revision = edited.revision;
            // The API does not store an edit that changes nothing.
            if edited == task {
                edited.updated_at = folded.updated_at;
                edited.duration_ms = folded.duration_ms;
            }
            prop_assert_eq!(&folded, &edited);
            task = edited;
        }
    }

    #[test]
    fn the_order_of_lines_and_edits_does_not_matter(
        log in any_log(), edits in proptest::collection::vec(any_edit(), 1..4), cut in any::<prop::sample::Index>(),
    ) {
        let cut = cut.index(log.len());
        let Some(task) = task_of(None, &fold(&log)) else { return Ok(()) };
        let mut edited = Ledger::default();
        for (ms, edit) in (0..).zip(&edits) {
            edited.edit(&task, edit, later(&task, ms * 10));
        }
        let parts = [fold(&log[..cut]), fold(&log[cut..]), edited];
        let join = |order: [usize; 3]| {
            let mut joined = Ledger::default();
            for index in order {
                joined.merge(parts[index].clone());
            }
            joined
        };
        let expected = join([0, 1, 2]);
        for order in [[2, 1, 0], [1, 2, 0], [0, 2, 1]] {
            prop_assert_eq!(&join(order), &expected);
        }
        let mut twice = expected.clone();
        twice.merge(expected.clone());
        prop_assert_eq!(twice, expected);
    }

    /// Only a later run replaces a deleted task, or a terminal status that a caller set.
    #[test]
    fn a_task_that_a_caller_ended_stays_ended_until_a_later_run(
        log in any_log(), cut in any::<prop::sample::Index>(), deletes: bool,
    ) {
        let cut = cut.index(log.len());
        let (before, after): (&[Line], &[Line]) = log.split_at(cut);
        let mut ledger = fold(before);
        let Some(task) = task_of(None, &ledger) else { return Ok(()) };
        if task.status.is_terminal() && !deletes {
            return Ok(());
        }
        let now = task.updated_at;
        if deletes {
            ledger.delete(&task, now);
        } else {
            let edit = CallerEdit { status: Some(TaskStatus::Cancelled), ..CallerEdit::default() };
            ledger.edit(&task, &edit, now);
        }
        let ended_at = CallerEdit::time(&task, now).to_string();
        for line in after {
            let (key, fact) = fact_of(line);
            ledger.insert(key, fact);
            let shown = task_of((!deletes).then_some(&task), &ledger);
            match shown {
                None => prop_assert!(deletes),
                Some(shown) if shown.run > ended_at => {
                    prop_assert_eq!(shown.revision, task.revision.next());
                    return Ok(());
                }
                Some(shown) => {
                    prop_assert!(!deletes, "a deleted task came back");
                    prop_assert_eq!(shown.status, TaskStatus::Cancelled);
                }
            }
        }
    }
}

#[test]
fn an_edit_of_a_task_wins_over_older_lines_when_logs_start_to_report_it() {
    let log = {
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        use proptest::strategy::ValueTree as _;
        any_log().new_tree(&mut runner).unwrap().current()
    };
    let ledger = fold(&log);
    let of_log = task_of(None, &ledger).expect("a task");
    let made = Task {
        status: TaskStatus::Cancelled,
        completed_at: Some(later(&of_log, 1)),
        updated_at: later(&of_log, 1),
        ..of_log
    };
    let mut adopted = Ledger::default();
    adopted.merge(ledger.clone());
    adopted.adopt(&made);
    let folded = task_of(Some(&made), &adopted).unwrap();
    assert_eq!(folded.status, TaskStatus::Cancelled);
}
