//! What callers decide, among what logs say.

use progress_core::fold::{CallerEdit, Ledger, TaskOrigin, fold_into_task};
use progress_core::log_parser::LogFormat;
use progress_core::model::{Progress, Task, TaskId, TaskStatus, Timestamp};
use proptest::prelude::*;

use crate::runs::{Line, any_log};
use crate::{config, fold};

/// The task of a stream as `ledger` has it.
fn task_of(previous: Option<&Task>, ledger: &Ledger) -> Option<Task> {
    let origin = TaskOrigin {
        format: LogFormat::CDK,
        log_group: "/cdk".to_owned(),
        log_stream: "main".to_owned(),
    };
    let task_id: TaskId = "cdk:main".parse().expect("it is an id");
    fold_into_task(&task_id, &origin, previous, ledger).live()
}

fn any_edit() -> impl Strategy<Value = CallerEdit> {
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

/// The time of the last line of a log, and somewhat later.
fn later(task: &Task, ms: i64) -> Timestamp {
    Timestamp::from_millis(task.updated_at.as_millis() + ms)
}

proptest! {
    #![proptest_config(config())]

    /// A caller is answered what the next look at the log shows, whatever the caller's clock.
    #[test]
    fn an_edit_is_what_the_fold_makes_of_it(
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
            // An edit that repeats what is so changes nothing, and is not noted by the API.
            if edited == task {
                edited.updated_at = folded.updated_at;
                edited.duration_ms = folded.duration_ms;
            }
            prop_assert_eq!(&folded, &edited);
            task = edited;
        }
    }

    /// Lines and edits may be joined in any order.
    #[test]
    fn the_order_in_which_lines_and_edits_are_learnt_does_not_matter(
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
                joined.merge(&parts[index]);
            }
            joined
        };
        let expected = join([0, 1, 2]);
        for order in [[2, 1, 0], [1, 2, 0], [0, 2, 1]] {
            prop_assert_eq!(&join(order), &expected);
        }
        let mut twice = expected.clone();
        twice.merge(&expected);
        prop_assert_eq!(twice, expected);
    }

    /// An end that a caller set is left by a later run alone, and so is a deletion.
    #[test]
    fn what_a_caller_ended_stays_so_until_a_later_run(
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
            ledger.observe(line.position, &line.observation);
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
fn what_was_made_of_a_task_holds_against_older_lines_when_logs_begin_to_report_it() {
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
    adopted.merge(&ledger);
    adopted.adopt(&made);
    let folded = task_of(Some(&made), &adopted).unwrap();
    assert_eq!(folded.status, TaskStatus::Cancelled);
}
