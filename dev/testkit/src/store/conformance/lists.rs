//! Checks of lists.

use shared::model::{RunId, Task, TaskStatus, TaskType};
use shared::store::{TaskQuery, TaskStore, TimeRange};

use super::changes::project_id;
use super::{create, edit, moment, new_task, next_of, save, to_status};
use crate::embedded_dynamodb::Stores;

pub(super) async fn list(tasks: &dyn TaskStore, query: &TaskQuery) -> Vec<Task> {
    tasks.list(query, None, 200).await.unwrap().tasks
}

/// Forty different tasks, some of the same millisecond, newest first.
async fn save_forty(tasks: &dyn TaskStore) -> Vec<Task> {
    let mut saved = Vec::new();
    for number in 0..40_usize {
        let mut task = new_task(&format!("task-{number}"));
        let pick = number.wrapping_mul(7);
        task.status = TaskStatus::ALL[pick % TaskStatus::ALL.len()];
        task.task_type = TaskType::ALL[pick / 3 % TaskType::ALL.len()];
        task.project_id = (number % 3 != 0).then(|| project_id(["p", "q"][number % 2]));
        task.run = moment(i64::try_from(pick % 5).unwrap());
        task.updated_at = moment(i64::try_from(10 + number % 4).unwrap());
        save(tasks, None, &task).await.unwrap();
        saved.push(task);
    }
    saved.sort_by_key(|task| std::cmp::Reverse(task.run_id()));
    saved
}

async fn list_in_pages(tasks: &dyn TaskStore, query: &TaskQuery, limit: usize) -> Vec<Task> {
    let mut listed: Vec<Task> = Vec::new();
    let mut after: Option<RunId> = None;
    loop {
        let page = tasks.list(query, after.as_ref(), limit).await.unwrap();
        assert!(page.tasks.len() <= limit);
        listed.extend(page.tasks);
        let Some(next) = page.next else {
            return listed;
        };
        assert!(
            after.is_none_or(|after| next < after),
            "paging does not end"
        );
        after = Some(next);
    }
}

/// Lists are sorted newest first. Pages of any size lose and repeat no task.
pub async fn lists_are_newest_first_in_pages(stores: Stores) {
    let saved = save_forty(&*stores.tasks).await;
    for limit in [1, 7, 40, 200] {
        let listed = list_in_pages(&*stores.tasks, &TaskQuery::default(), limit).await;
        assert_eq!(listed, saved, "in pages of {limit}");
    }
}

fn range(from: Option<i64>, to: Option<i64>) -> TimeRange {
    TimeRange {
        from: from.map(moment),
        to: to.map(moment),
    }
}

/// A list has exactly the tasks that match its filters.
pub async fn lists_apply_all_filters(stores: Stores) {
    let saved = save_forty(&*stores.tasks).await;
    let statuses = [
        vec![],
        vec![TaskStatus::Running],
        vec![TaskStatus::Failed, TaskStatus::Pending, TaskStatus::Failed],
    ];
    let types = [
        vec![],
        vec![TaskType::Build],
        vec![TaskType::Other, TaskType::CdkDeploy, TaskType::Other],
    ];
    for statuses in &statuses {
        for task_types in &types {
            for (project, text, begun, updated) in [
                (None, None, range(None, None), range(None, None)),
                (Some("p"), None, range(Some(1), None), range(None, None)),
                (Some("nobody"), None, range(None, None), range(None, None)),
                (
                    None,
                    Some("TASK-3"),
                    range(None, Some(3)),
                    range(None, None),
                ),
                (
                    Some("q"),
                    Some("K Task-1"),
                    range(Some(0), Some(3)),
                    range(None, None),
                ),
                (
                    None,
                    Some("k t"),
                    range(Some(2), Some(2)),
                    range(None, None),
                ),
                (
                    None,
                    Some("task task"),
                    range(None, None),
                    range(None, Some(12)),
                ),
                (
                    None,
                    None,
                    range(Some(2), Some(4)),
                    range(Some(11), Some(13)),
                ),
                (
                    Some("p"),
                    None,
                    range(Some(4), Some(1)),
                    range(Some(12), None),
                ),
            ] {
                let query = TaskQuery {
                    statuses: statuses.clone(),
                    task_types: task_types.clone(),
                    project_id: project.map(project_id),
                    text: text.map(str::to_owned),
                    begun,
                    updated,
                };
                let expected = saved.iter().filter(|task| query.matches(task));
                let expected: Vec<Task> = expected.cloned().collect();
                let listed = list_in_pages(&*stores.tasks, &query, 3).await;
                assert_eq!(listed, expected, "{query:?}");
            }
        }
    }
}

/// A task that changes its status and project leaves its old lists.
pub async fn a_task_is_listed_only_under_its_present_status_and_project(stores: Stores) {
    let mut first = new_task("t");
    first.project_id = Some(project_id("p"));
    let second = next_of(&first, |task| {
        task.status = TaskStatus::Completed;
        task.project_id = Some(project_id("q"));
    });
    save(&*stores.tasks, None, &first).await.unwrap();
    save(&*stores.tasks, Some(&first), &second).await.unwrap();
    let of_status = |status| TaskQuery {
        statuses: vec![status],
        ..TaskQuery::default()
    };
    let of_project = |id| TaskQuery {
        project_id: Some(project_id(id)),
        ..TaskQuery::default()
    };
    for (query, expected) in [
        (TaskQuery::default(), true),
        (of_status(TaskStatus::Completed), true),
        (of_status(TaskStatus::Pending), false),
        (of_project("q"), true),
        (of_project("p"), false),
    ] {
        let listed = list(&*stores.tasks, &query).await;
        let expected: Vec<Task> = expected.then(|| second.clone()).into_iter().collect();
        assert_eq!(listed, expected, "{query:?}");
    }
}

/// All runs are listed, and ids that begin alike don't confuse pages.
pub async fn lists_have_earlier_runs(stores: Stores) {
    let tasks = &*stores.tasks;
    let mut expected = Vec::new();
    for id in ["a", "a.b", "a-b", "a:b"] {
        for _ in 0..3 {
            let run = create(tasks, id, None, moment(0)).await;
            edit(tasks, &run, to_status(TaskStatus::Failed), moment(0)).await;
        }
        expected.extend(tasks.runs(&id.parse().unwrap(), None, 10).await.unwrap());
    }
    assert_eq!(expected.len(), 12);
    expected.sort_by_key(|task| std::cmp::Reverse(task.run_id()));
    for limit in [1, 5, 12] {
        let listed = list_in_pages(tasks, &TaskQuery::default(), limit).await;
        assert_eq!(listed, expected, "in pages of {limit}");
    }
    let query = TaskQuery {
        statuses: vec![TaskStatus::Failed],
        ..TaskQuery::default()
    };
    assert_eq!(list(tasks, &query).await, expected);
}
