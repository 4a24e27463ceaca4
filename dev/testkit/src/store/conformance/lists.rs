//! Checks of lists.

use shared::fold::CallerEdit;
use shared::model::{RunId, Task, TaskStatus, TaskType};
use shared::record::CallerFields;
use shared::store::{TaskQuery, TaskStore, TimeRange};

use super::changes::project_id;
use super::{
    create, edit, fetch_run, in_project, lines, moment, new_task, next_of, record_of, save,
    save_lines, to_status,
};
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

/// A search finds text anywhere in the name or the id, in upper or lower case.
pub async fn a_text_is_found_anywhere_in_the_name_or_the_id(stores: Stores) {
    let tasks = &*stores.tasks;
    for (id, name) in [
        ("cdk:deploy-7", "ShopNetwork, ShopData"),
        ("agent:Nightly", "\u{c4}pfel \u{39f}\u{394}\u{39f}\u{3a3}x"),
    ] {
        let mut task = new_task(id);
        task.task_name = name.to_owned();
        save(tasks, None, &task).await.unwrap();
    }
    for (text, expected) in [
        ("Shop", "cdk:deploy-7"),
        ("network, shopd", "cdk:deploy-7"),
        ("DEPLOY-7", "cdk:deploy-7"),
        ("nightly", "agent:Nightly"),
        ("\u{e4}PF", "agent:Nightly"),
        // The last letter has another small form at the end of a word.
        ("\u{39f}\u{394}\u{39f}\u{3a3}", "agent:Nightly"),
        ("shopweb", ""),
    ] {
        let query = TaskQuery {
            text: Some(text.to_owned()),
            ..TaskQuery::default()
        };
        let found = list(tasks, &query).await;
        let found: Vec<&str> = found.iter().map(|task| task.task_id.as_str()).collect();
        assert_eq!(found.join(" "), expected, "{text}");
    }
}

/// Long metadata is kept whole, but no list shows it.
pub async fn long_metadata_is_in_no_list(stores: Stores) {
    let tasks = &*stores.tasks;
    let metadata_of = |length| {
        let member = ("note".to_owned(), "x".repeat(length).into());
        Some(serde_json::Map::from_iter([member]))
    };
    let running = create(tasks, "t", None, moment(0)).await;
    for (step, length) in [3000_usize, 2000, 10, 3000].into_iter().enumerate() {
        let now = moment(i64::try_from(step).unwrap() * 10 + 1);
        let fields = CallerFields {
            metadata: metadata_of(length),
            ..in_project(None)
        };
        let record = record_of(tasks, &running.task_id).await;
        let change = record.edit(CallerEdit::default(), &fields, now);
        tasks.save(&change).await.unwrap();
        let line = format!("[{}/9] a step", step + 1);
        save_lines(tasks, "t", lines(&[(now, &line)]), now).await;
        let read = tasks.fetch(&running.record_id()).await.unwrap().unwrap();
        assert_eq!(read.metadata, metadata_of(length));
        assert_eq!(read.progress.current, u64::try_from(step + 1).ok());
        let listed = list(tasks, &TaskQuery::default()).await;
        assert_eq!(listed, [read.listed()]);
        assert_eq!(listed[0].metadata.is_some(), length == 10);
    }
    let last = tasks.fetch(&running.record_id()).await.unwrap().unwrap();
    edit(tasks, &last, to_status(TaskStatus::Failed), moment(100)).await;
    create(tasks, "t", None, moment(200)).await;
    let earlier = fetch_run(tasks, running.run_id()).await.unwrap();
    assert_eq!(earlier.metadata, metadata_of(3000));
}

/// A walk through all pages finds each run once, however many tasks change between pages.
pub async fn a_walk_finds_each_run_once_while_tasks_change(stores: Stores) {
    let tasks = &*stores.tasks;
    let mut present = Vec::new();
    for number in 0..150 {
        let mut task = new_task(&format!("task-{number}"));
        task.run = moment(number / 4);
        task.project_id = Some(project_id("p"));
        save(tasks, None, &task).await.unwrap();
        present.push(task);
    }
    let of_project = TaskQuery {
        project_id: Some(project_id("p")),
        ..TaskQuery::default()
    };
    let mut now = 1000;
    for query in [TaskQuery::default(), of_project] {
        let mut found = Vec::new();
        let mut after: Option<RunId> = None;
        loop {
            let page = tasks.list(&query, after.as_ref(), 50).await.unwrap();
            found.extend(page.tasks.iter().map(Task::run_id));
            let Some(next) = page.next else { break };
            after = Some(next);
            for task in present.iter_mut().step_by(2) {
                now += 1;
                let next = next_of(task, |task| {
                    let is_running = task.status == TaskStatus::Running;
                    task.status = match is_running {
                        true => TaskStatus::Blocked,
                        false => TaskStatus::Running,
                    };
                    task.updated_at = moment(now);
                });
                save(tasks, Some(task), &next).await.unwrap();
                *task = next;
            }
        }
        let mut expected: Vec<RunId> = present.iter().map(Task::run_id).collect();
        expected.sort_by(|one, other| other.cmp(one));
        assert_eq!(found, expected, "{query:?}");
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
