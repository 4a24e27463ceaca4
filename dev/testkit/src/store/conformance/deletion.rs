//! Checks of deletion.

use shared::fold::CallerEdit;
use shared::model::{Progress, TaskStatus};
use shared::record::{CallerFields, HeadState, Outcome};
use shared::store::TaskQuery;

use super::history::whole_history;
use super::lists::list;
use super::tasks::is_conflict;
use super::{create, delete, edit, fetch_run, in_project, lines, moment, origin, record_of};
use crate::embedded_dynamodb::Stores;

/// A deleted run is in no list, no metrics and no history, but its head and the fact of its deletion
/// stay.
pub async fn a_deletion_leaves_a_head_that_is_nowhere(stores: Stores) {
    let tasks = &*stores.tasks;
    let mut task = create(tasks, "t", Some("p"), moment(0)).await;
    for number in 0..60_u64 {
        // More than one request can delete.
        let progress = Progress {
            current: Some(number),
            total: Some(100),
            percentage: None,
        };
        let step = CallerEdit {
            progress: Some(progress),
            ..CallerEdit::default()
        };
        task = edit(tasks, &task, step, moment(1)).await;
    }
    assert_eq!(whole_history(tasks, &task).await.len(), 61);
    let record = record_of(tasks, &task.task_id).await;
    let deletion = record.delete(moment(99_000)).unwrap();
    tasks.save(&deletion).await.unwrap();

    let again = tasks.save(&deletion).await;
    assert!(is_conflict(&again), "{again:?}");
    let stale = record.edit(
        CallerEdit::default(),
        &CallerFields::of(&task),
        moment(100_000),
    );
    let stale = tasks.save(&stale).await;
    assert!(is_conflict(&stale), "{stale:?}");
    assert_eq!(tasks.fetch(&task.record_id()).await.unwrap(), None);
    assert_eq!(fetch_run(tasks, task.run_id()).await, None);
    assert_eq!(tasks.runs(&task.task_id, None, 10).await.unwrap(), []);
    assert_eq!(whole_history(tasks, &task).await, []);
    let of_project = TaskQuery {
        project_id: task.project_id.clone(),
        ..TaskQuery::default()
    };
    let of_type = TaskQuery {
        task_types: vec![task.task_type],
        ..TaskQuery::default()
    };
    for query in [TaskQuery::default(), of_project, of_type] {
        assert_eq!(list(tasks, &query).await, []);
    }
    let totals = stores.projects.totals().await.unwrap();
    assert_eq!(totals.total_tasks, 0);
    let record = record_of(tasks, &task.task_id).await;
    let newest = record.newest.as_ref().unwrap();
    assert_eq!(newest.state, HeadState::Deleted);
    assert_eq!(newest.task.revision, task.revision.next());
    assert_eq!(newest.task.project_id, task.project_id);
    // What the log said until then does not bring it back.
    let facts = lines(&[(moment(5000), "[1/3] said before")]);
    if let Outcome::Changed { change, .. } = record.add_lines(facts, &origin(), moment(100_000)) {
        assert_eq!(change.newest(), None);
    }
}

/// A new life has all that it needs, and a writer of the old one gets a conflict.
pub async fn a_new_life_goes_on_with_revisions(stores: Stores) {
    let tasks = &*stores.tasks;
    let first = create(tasks, "t", Some("p"), moment(0)).await;
    let of_first_life = record_of(tasks, &first.task_id).await;
    delete(tasks, &first, moment(1000)).await;
    let second = create(tasks, "t", None, moment(2000)).await;
    assert!(second.revision > first.revision.next());
    assert!(second.run > first.run);
    assert_eq!(second.status, TaskStatus::Running);
    let stored = tasks.fetch(&second.record_id()).await.unwrap();
    assert_eq!(stored, Some(second));
    let fields = in_project(Some("p"));
    let stale = of_first_life.edit(CallerEdit::default(), &fields, moment(3000));
    let stale = tasks.save(&stale).await;
    assert!(is_conflict(&stale), "{stale:?}");
    assert_eq!(stores.projects.totals().await.unwrap().total_tasks, 1);
}
