//! Checks of earlier runs.

use std::time::Duration;

use shared::model::{RecordId, RunId, Task, TaskStatus, Timestamp};
use shared::record::{Outcome, delete_earlier};
use shared::store::TaskQuery;

use super::history::whole_history;
use super::lists::list;
use super::tasks::{full_task, is_conflict};
use super::{
    change_of, create, edit, fetch_run, lines, moment, new_task, next_of, origin, record_of,
    save_lines, to_status,
};
use crate::embedded_dynamodb::Stores;

const END: &str = r#"{"status":"completed","message":"done"}"#;

/// The facts of a log with these runs: three lines each, ten seconds apart.
fn log_of(runs: std::ops::Range<i64>) -> Vec<shared::fold::KeyedFact> {
    let line = |ms: i64, text: &'static str| (moment(ms), text);
    let of_run = |run: i64| {
        let start = run * 30_000;
        [
            line(start, "[1/2] one"),
            line(start + 10_000, "[2/2] two"),
            line(start + 20_000, END),
        ]
    };
    lines(&runs.flat_map(of_run).collect::<Vec<_>>())
}

/// A later run becomes the newest one. The earlier one is still there, as it was.
pub async fn a_later_run_leaves_the_earlier_one(stores: Stores) {
    let tasks = &*stores.tasks;
    let first = create(tasks, "t", Some("p"), moment(0)).await;
    let failed = edit(tasks, &first, to_status(TaskStatus::Failed), moment(1000)).await;
    let second = create(tasks, "t", Some("p"), moment(2000)).await;
    assert_eq!(
        tasks.fetch(&second.record_id()).await.unwrap(),
        Some(second)
    );
    let earlier = fetch_run(tasks, first.run_id()).await.unwrap();
    let expected = Task {
        is_earlier: true,
        revision: earlier.revision,
        ..failed
    };
    assert_eq!(earlier, expected);
    assert_eq!(whole_history(tasks, &earlier).await.len(), 2);
    assert_eq!(list(tasks, &TaskQuery::default()).await.len(), 2);
}

/// The newest run is found by the id of the task and by its own, and by no other.
pub async fn the_newest_run_has_two_ids(stores: Stores) {
    let tasks = &*stores.tasks;
    let task = create(tasks, "t", None, moment(0)).await;
    for id in [RecordId::from(task.task_id.clone()), task.run_id().into()] {
        assert_eq!(
            tasks.fetch(&id).await.unwrap().as_ref(),
            Some(&task),
            "{id}"
        );
    }
    for ms in [-1, 1] {
        let run = Timestamp::from_millis(task.run.as_millis() + ms);
        let other = RunId {
            run,
            ..task.run_id()
        };
        assert_eq!(fetch_run(tasks, other).await, None);
    }
}

/// Runs are listed from any time back, without parts. Deleted ones are left out.
pub async fn runs_are_listed_newest_first_in_pages(stores: Stores) {
    let tasks = &*stores.tasks;
    let mut expected = Vec::new();
    for number in 0..9_i64 {
        let run = create(tasks, "t", None, moment(number * 2000)).await;
        let end = moment(number * 2000 + 1000);
        edit(tasks, &run, to_status(TaskStatus::Failed), end).await;
        expected.insert(0, run.run_id());
    }
    let task_id = expected[0].task_id.clone();
    let deleted = fetch_run(tasks, expected.remove(4)).await.unwrap();
    tasks.save(&delete_earlier(&deleted)).await.unwrap();
    for limit in [1, 3, 8, 50] {
        let (mut found, mut before) = (Vec::new(), None);
        loop {
            let page = tasks.runs(&task_id, before, limit).await.unwrap();
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { break };
            before = Some(last.run);
            found.extend(page.iter().map(Task::run_id));
        }
        assert_eq!(found, expected, "in pages of {limit}");
    }
    // A run that is no longer the newest has parts, but the list does not.
    let full = full_task("full");
    super::save(tasks, None, &full).await.unwrap();
    let runs = tasks.runs(&full.task_id, None, 1).await.unwrap();
    assert!(runs[0].parts.is_empty());
}

/// A writer reads the earlier runs that late lines can still change, and no older ones.
pub async fn a_record_has_the_earlier_runs_that_can_change(stores: Stores) {
    let tasks = &*stores.tasks;
    let newest = save_lines(tasks, "t", log_of(0..3), moment(90_000))
        .await
        .unwrap();
    let runs = tasks.runs(&newest.task_id, None, 10).await.unwrap();
    assert_eq!(runs.len(), 3);
    let record = record_of(tasks, &newest.task_id).await;
    let mut earlier: Vec<Timestamp> = record.earlier.iter().map(|head| head.task.run).collect();
    earlier.push(newest.run);
    assert_eq!(earlier, [0, 30_000, 60_000].map(moment));
    // A late line changes the first of them.
    let late = lines(&[(moment(15_000), r#"{"status":"running","message":"late"}"#)]);
    save_lines(tasks, "t", late, moment(90_000)).await;
    // Much later, all but the newest run are final.
    let after = Duration::from_secs(2 * 3600);
    let later = lines(&[(moment(90_000).after(after), "[1/2] one")]);
    save_lines(tasks, "t", later, moment(90_000).after(after)).await;
    let record = record_of(tasks, &newest.task_id).await;
    let open: Vec<Timestamp> = record.earlier.iter().map(|head| head.task.run).collect();
    let open_since = record.items.open_since;
    assert_eq!(open.first().copied(), open_since);
    assert!(open.len() < 2, "{open:?}");
    let runs = tasks.runs(&newest.task_id, None, 10).await.unwrap();
    assert_eq!(runs.len(), 4);
}

/// The deletion of an earlier run leaves all others and their history.
pub async fn an_earlier_run_is_deleted_alone(stores: Stores) {
    let tasks = &*stores.tasks;
    let newest = save_lines(tasks, "t", log_of(0..3), moment(90_000))
        .await
        .unwrap();
    let runs = tasks.runs(&newest.task_id, None, 10).await.unwrap();
    let mut histories = Vec::new();
    for run in &runs {
        histories.push(whole_history(tasks, run).await);
        assert_ne!(histories.last(), Some(&Vec::new()));
    }
    let deletion = delete_earlier(&runs[1]);
    tasks.save(&deletion).await.unwrap();
    let again = tasks.save(&deletion).await;
    assert!(is_conflict(&again), "{again:?}");
    assert_eq!(fetch_run(tasks, runs[1].run_id()).await, None);
    let left = tasks.runs(&newest.task_id, None, 10).await.unwrap();
    assert_eq!(left, [runs[0].clone(), runs[2].clone()]);
    histories[1].clear();
    for (run, history) in runs.iter().zip(&histories) {
        assert_eq!(whole_history(tasks, run).await, *history);
    }
    assert_eq!(stores.projects.totals().await.unwrap().total_tasks, 2);
    // Its lines come again.
    save_lines(tasks, "t", log_of(0..3), moment(91_000)).await;
    assert_eq!(fetch_run(tasks, runs[1].run_id()).await, None);
}

/// A change of many heads is all or nothing.
pub async fn a_stale_earlier_run_is_a_conflict_and_changes_nothing(stores: Stores) {
    let tasks = &*stores.tasks;
    let mut earlier = new_task("t");
    earlier.is_earlier = true;
    let mut newest = new_task("t");
    newest.run = moment(5);
    let mut change = change_of(None, &newest);
    change.heads.extend(change_of(None, &earlier).heads);
    tasks.save(&change).await.unwrap();
    let next = next_of(&newest, |task| task.status = TaskStatus::Running);
    let next_earlier = next_of(&earlier, |task| task.status = TaskStatus::Failed);
    let of_next = change_of(Some(&newest), &next);
    let wrong = next_of(&earlier, |_| {});
    for previous in [None, Some(&wrong)] {
        let mut change = of_next.clone();
        change
            .heads
            .extend(change_of(previous, &next_earlier).heads);
        let outcome = tasks.save(&change).await;
        assert!(is_conflict(&outcome), "{outcome:?}");
    }
    let mut change = of_next;
    let of_earlier = change_of(Some(&earlier), &next_earlier);
    change.heads.extend(of_earlier.heads);
    tasks.save(&change).await.unwrap();
    let stored = fetch_run(tasks, earlier.run_id()).await;
    assert_eq!(stored, Some(next_earlier));
}

/// More runs than one change takes are saved in several.
pub async fn many_runs_are_saved_at_once(stores: Stores) {
    let tasks = &*stores.tasks;
    let now = moment(60 * 30_000);
    let record = record_of(tasks, &"t".parse().unwrap()).await;
    let outcome = record.add_lines(log_of(0..60), &origin(), now);
    let Outcome::Changed { change, rest } = outcome else {
        panic!("a log changes nothing");
    };
    let heads = change.heads.len();
    assert!(heads >= 20 && !rest.is_empty(), "{heads}, {}", rest.len());
    tasks.save(&change).await.unwrap();
    save_lines(tasks, "t", rest, now).await;
    let runs = tasks.runs(&record.task_id, None, 100).await.unwrap();
    assert_eq!(runs.len(), 60);
    let is_completed = |task: &Task| task.status == TaskStatus::Completed;
    assert!(runs.iter().all(is_completed));
    let totals = stores.projects.totals().await.unwrap();
    assert_eq!(totals.completed, 60);
}
