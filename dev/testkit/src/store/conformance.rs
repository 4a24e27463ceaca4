//! The conformance suite of stores: the contracts of the traits as checks, for every
//! implementation.
//!
//! [`store_conformance!`](crate::store_conformance) turns each check into a test.
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a check fails by panicking"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::embedded_dynamodb::Stores;
use shared::checkpoint::{Checkpoint, Resume};
use shared::fold::Ledger;
use shared::model::{
    HistoryEntry, Metrics, Part, Priority, Progress, Project, ProjectId, ProjectStatus, Revision,
    Task, TaskId, TaskStatus, TaskType, Timestamp,
};
use shared::store::{
    IDEMPOTENCY_RECORD_LIFETIME, IdempotencyRecord, ListPosition, ProjectStore, StoreError,
    TaskPage, TaskQuery, TaskStore,
};

/// Makes a test of each check. `$make` is an async function that returns empty [`Stores`], and a
/// value that keeps them alive.
#[macro_export]
macro_rules! store_conformance {
    ($make:path) => {
        $crate::store_conformance! { @checks $make:
            a_saved_task_is_read_as_it_was,
            missing_records_are_none,
            a_stale_revision_is_a_conflict_and_changes_nothing,
            one_of_many_concurrent_writers_wins,
            a_save_replaces_all_fields,
            text_is_never_parsed_as_an_expression,
            a_save_without_a_ledger_keeps_the_stored_one,
            many_records_are_read_at_once,
            history_has_one_entry_per_change,
            history_is_read_in_pages,
            lists_are_newest_first_in_pages,
            lists_apply_all_filters,
            a_task_is_listed_only_under_its_present_status_and_project,
            metrics_follow_every_write,
            metrics_count_tasks_that_are_older_than_the_project,
            a_deletion_removes_all_but_the_ledger,
            a_ledger_that_was_read_before_a_deletion_is_a_conflict,
            the_ledger_of_a_deleted_task_can_be_saved,
            a_repeated_request_finds_the_idempotency_record,
            a_failed_creation_leaves_no_idempotency_record,
            the_duration_estimate_is_the_mean_of_completed_runs,
            a_project_is_created_once,
            a_stale_project_revision_is_a_conflict,
            projects_are_listed_by_id,
            a_checkpoint_never_goes_back,
            a_resume_point_is_kept_until_its_window_is_finished,
            stores_answer_a_ping,
        }
    };
    (@checks $make:path: $($check:ident,)+) => {
        $(
            #[tokio::test]
            async fn $check() {
                let (stores, _alive) = $make().await;
                $crate::store::conformance::$check(stores).await;
            }
        )+
    };
}

/// A time, `ms` milliseconds after a fixed one.
pub fn moment(ms: i64) -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000 + ms)
}

/// A new task: pending, created at [`moment`] 0, without optional fields.
pub fn new_task(id: &str) -> Task {
    Task {
        task_id: id.parse().unwrap(),
        task_name: format!("Task {id}"),
        task_type: TaskType::CdkDeploy,
        status: TaskStatus::Pending,
        priority: None,
        progress: Progress::default(),
        parts: BTreeMap::new(),
        run: moment(0).to_string(),
        revision: Revision(1),
        project_id: None,
        message: None,
        phase: None,
        current_step: None,
        log_group: None,
        log_stream: None,
        created_at: moment(0),
        started_at: None,
        updated_at: moment(0),
        completed_at: None,
        duration_ms: None,
        usual_duration_ms: None,
        metadata: None,
    }
}

/// The next revision of `task`, a second later, with a change.
pub fn next_of(task: &Task, change: impl FnOnce(&mut Task)) -> Task {
    let mut next = task.clone();
    next.revision = task.revision.next();
    next.updated_at = Timestamp::from_millis(task.updated_at.as_millis() + 1000);
    change(&mut next);
    next
}

/// A new project.
pub fn new_project(id: &str) -> Project {
    Project {
        project_id: project_id(id),
        project_name: format!("Project {id}"),
        description: None,
        status: ProjectStatus::Active,
        owner: None,
        match_prefixes: Vec::new(),
        revision: Revision(1),
        metrics: Metrics::default(),
        created_at: moment(0),
        updated_at: moment(0),
    }
}

fn project_id(id: &str) -> ProjectId {
    id.parse().unwrap()
}

fn full_task(id: &str) -> Task {
    let progress = Progress {
        current: Some(u64::MAX),
        total: Some(29),
        percentage: Some(17),
    };
    let part = Part {
        progress,
        status: TaskStatus::Running,
        phase: Some("deploying".to_owned()),
        message: Some("<script> \u{1b}[31m\0 進捗".to_owned()),
        started_at: Some(moment(1)),
        completed_at: Some(moment(2)),
    };
    let metadata = serde_json::json!({"exact": 0.1, "large": u64::MAX, "nested": {"": [null, ""]}});
    Task {
        task_name: "CDK Deploy · MiyabiWebUIStack".to_owned(),
        task_type: TaskType::AgentExecution,
        status: TaskStatus::Running,
        priority: Some(Priority::P0),
        progress,
        parts: BTreeMap::from([("Stack".to_owned(), part.clone()), (String::new(), part)]),
        project_id: Some(project_id("p.1")),
        message: Some(String::new()),
        phase: Some("deploying".to_owned()),
        current_step: Some("3 of 4".to_owned()),
        log_group: Some("/aws/codebuild/deploy".to_owned()),
        log_stream: Some("a#b".to_owned()),
        started_at: Some(moment(1)),
        completed_at: Some(moment(2)),
        duration_ms: Some(u64::MAX),
        usual_duration_ms: Some(u64::MAX),
        metadata: metadata.as_object().cloned(),
        ..new_task(id)
    }
}

fn some_ledger() -> Ledger {
    let mut ledger = Ledger::default();
    ledger.mark_adopted();
    assert_ne!(ledger, Ledger::default());
    ledger
}

fn is_conflict<T>(outcome: &Result<T, StoreError>) -> bool {
    matches!(outcome, Err(StoreError::Conflict(_)))
}

async fn ledger_of(tasks: &dyn TaskStore, task: &Task) -> Ledger {
    let records = tasks.fetch_records(std::slice::from_ref(&task.task_id));
    let mut records = records.await.unwrap();
    assert_eq!(records.len(), 1, "{records:?}");
    let record = records.remove(0);
    assert_eq!(record.task.as_ref(), Some(task));
    record.ledger
}

async fn whole_history(tasks: &dyn TaskStore, task: &Task) -> Vec<HistoryEntry> {
    let history = tasks.history(&task.task_id, None, None, 1000);
    history.await.unwrap()
}

async fn list(tasks: &dyn TaskStore, query: &TaskQuery) -> Vec<Task> {
    tasks.list(query, None, 200).await.unwrap().tasks
}

async fn metrics_of(projects: &dyn ProjectStore, id: &str) -> Metrics {
    let project = projects.fetch(&project_id(id)).await.unwrap();
    project.unwrap().metrics
}

/// All fields of a task survive a save.
pub async fn a_saved_task_is_read_as_it_was(stores: Stores) {
    for task in [new_task("least"), full_task("most")] {
        let ledger = some_ledger();
        stores.tasks.save(None, &task, Some(&ledger)).await.unwrap();
        let fetched = stores.tasks.fetch(&task.task_id).await.unwrap();
        assert_eq!(fetched.as_ref(), Some(&task));
        assert_eq!(ledger_of(&*stores.tasks, &task).await, ledger);
        let query = TaskQuery {
            task_types: vec![task.task_type],
            ..TaskQuery::default()
        };
        assert_eq!(list(&*stores.tasks, &query).await, [task]);
    }
}

/// A record that was never saved is no error.
pub async fn missing_records_are_none(stores: Stores) {
    let id: TaskId = "nobody".parse().unwrap();
    assert_eq!(stores.tasks.fetch(&id).await.unwrap(), None);
    let records = stores.tasks.fetch_records(std::slice::from_ref(&id)).await;
    assert_eq!(records.unwrap(), []);
    assert_eq!(stores.tasks.fetch_records(&[]).await.unwrap(), []);
    let listed = stores.tasks.list(&TaskQuery::default(), None, 200).await;
    assert_eq!(listed.unwrap(), TaskPage::default());
    let history = stores.tasks.history(&id, None, None, 10).await;
    assert_eq!(history.unwrap(), []);
    let project = stores.projects.fetch(&project_id("nobody")).await;
    assert_eq!(project.unwrap(), None);
    assert_eq!(stores.projects.list().await.unwrap(), []);
    assert_eq!(stores.checkpoints.load("nothing").await.unwrap(), None);
}

/// A write on top of a stale state changes nothing.
pub async fn a_stale_revision_is_a_conflict_and_changes_nothing(stores: Stores) {
    let tasks = &*stores.tasks;
    stores.projects.create(&new_project("p")).await.unwrap();
    let mut first = new_task("t");
    first.project_id = Some(project_id("p"));
    let second = next_of(&first, |task| task.status = TaskStatus::Running);
    let other = next_of(&first, |task| {
        task.status = TaskStatus::Failed;
        task.updated_at = moment(5000);
    });
    let early = tasks.save(Some(&first), &second, None).await;
    assert!(is_conflict(&early), "{early:?}");
    tasks.save(None, &first, None).await.unwrap();
    tasks.save(Some(&first), &second, None).await.unwrap();
    let history = whole_history(tasks, &second).await;
    let metrics = metrics_of(&*stores.projects, "p").await;
    for previous in [None, Some(&first)] {
        let outcome = tasks.save(previous, &other, Some(&some_ledger())).await;
        assert!(is_conflict(&outcome), "{outcome:?}");
    }
    assert_eq!(ledger_of(tasks, &second).await, Ledger::default());
    assert_eq!(whole_history(tasks, &second).await, history);
    assert_eq!(metrics_of(&*stores.projects, "p").await, metrics);
}

/// Of writers that start from one state, one succeeds and the others get a conflict.
pub async fn one_of_many_concurrent_writers_wins(stores: Stores) {
    let first = new_task("t");
    stores.tasks.save(None, &first, None).await.unwrap();
    let writes = (0..8).map(|writer: u8| {
        let next = next_of(&first, |task| task.message = Some(writer.to_string()));
        let (tasks, first) = (Arc::clone(&stores.tasks), first.clone());
        async move {
            let outcome = tasks.save(Some(&first), &next, None).await;
            assert!(outcome.is_ok() || is_conflict(&outcome), "{outcome:?}");
            outcome.is_ok().then_some(next)
        }
    });
    let outcomes = futures::future::join_all(writes).await;
    let winners: Vec<Task> = outcomes.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1);
    let stored = stores.tasks.fetch(&first.task_id).await.unwrap();
    assert_eq!(stored.as_ref(), winners.first());
}

/// A write replaces the whole task.
pub async fn a_save_replaces_all_fields(stores: Stores) {
    let full = full_task("t");
    let bare = Task {
        revision: full.revision.next(),
        ..new_task("t")
    };
    stores.tasks.save(None, &full, None).await.unwrap();
    stores.tasks.save(Some(&full), &bare, None).await.unwrap();
    let stored = stores.tasks.fetch(&full.task_id).await.unwrap();
    assert_eq!(stored, Some(bare));
    let of_project = TaskQuery {
        project_id: full.project_id,
        ..TaskQuery::default()
    };
    assert_eq!(list(&*stores.tasks, &of_project).await, []);
}

/// Text that looks like an expression is stored and queried as a value.
pub async fn text_is_never_parsed_as_an_expression(stores: Stores) {
    let tasks = &*stores.tasks;
    let hostile = [
        ":zero OR attribute_exists(task_id)",
        "#revision = :revision",
        "' OR '1'='1",
        "a) OR (b",
        "\u{0}\u{1b}[2J\r\n{tasks}:generation",
        "SET revision = :one REMOVE task_name",
    ];
    stores.projects.create(&new_project("p")).await.unwrap();
    let mut made = Vec::new();
    for (number, text) in hostile.iter().enumerate() {
        let mut task = new_task(&format!("t{number}"));
        task.task_name = (*text).to_owned();
        task.message = Some((*text).to_owned());
        task.phase = Some((*text).to_owned());
        task.project_id = Some(project_id("p"));
        let metadata = serde_json::Map::from_iter([((*text).to_owned(), (*text).into())]);
        task.metadata = Some(metadata);
        tasks.save(None, &task, Some(&some_ledger())).await.unwrap();
        let next = next_of(&task, |task| task.log_stream = Some((*text).to_owned()));
        tasks.save(Some(&task), &next, None).await.unwrap();
        made.push(next);
    }
    for (task, text) in made.iter().zip(hostile) {
        assert_eq!(
            tasks.fetch(&task.task_id).await.unwrap().as_ref(),
            Some(task)
        );
        let query = TaskQuery {
            name_prefix: Some(text.to_owned()),
            ..TaskQuery::default()
        };
        assert_eq!(list(tasks, &query).await, std::slice::from_ref(task));
    }
    let metrics = metrics_of(&*stores.projects, "p").await;
    assert_eq!(metrics.total_tasks, 6);
}

/// A write without a ledger keeps the stored one.
pub async fn a_save_without_a_ledger_keeps_the_stored_one(stores: Stores) {
    let tasks = &*stores.tasks;
    let first = new_task("t");
    let second = next_of(&first, |_| {});
    let third = next_of(&second, |_| {});
    let fourth = next_of(&third, |_| {});
    tasks.save(None, &first, None).await.unwrap();
    assert_eq!(ledger_of(tasks, &first).await, Ledger::default());
    let ledger = some_ledger();
    tasks
        .save(Some(&first), &second, Some(&ledger))
        .await
        .unwrap();
    assert_eq!(ledger_of(tasks, &second).await, ledger);
    tasks.save(Some(&second), &third, None).await.unwrap();
    assert_eq!(ledger_of(tasks, &third).await, ledger);
    let empty = Ledger::default();
    tasks
        .save(Some(&third), &fourth, Some(&empty))
        .await
        .unwrap();
    assert_eq!(ledger_of(tasks, &fourth).await, empty);
}

/// Any number of records can be read. Duplicate ids give one record.
pub async fn many_records_are_read_at_once(stores: Stores) {
    let mut task_ids = Vec::new();
    for number in 0..120 {
        let task = new_task(&format!("task-{number}"));
        let ledger = (number % 2 == 0).then(some_ledger);
        stores
            .tasks
            .save(None, &task, ledger.as_ref())
            .await
            .unwrap();
        task_ids.push(task.task_id);
    }
    let mut requested = task_ids.clone();
    requested.push("nobody".parse().unwrap());
    requested.extend(task_ids.iter().take(3).cloned());
    let records = stores.tasks.fetch_records(&requested).await.unwrap();
    let with_ledger = records.iter().filter(|record| !record.ledger.is_empty());
    assert_eq!(with_ledger.count(), 60);
    let mut found: Vec<TaskId> = records.into_iter().map(|record| record.task_id).collect();
    found.sort_unstable();
    task_ids.sort_unstable();
    assert_eq!(found, task_ids);
}

/// History has an entry for each change of progress, and no other.
pub async fn history_has_one_entry_per_change(stores: Stores) {
    let tasks = &*stores.tasks;
    let first = new_task("t");
    let second = next_of(&first, |task| task.message = Some("still waiting".into()));
    let third = next_of(&second, |task| task.progress.current = Some(3));
    // Of two changes in one millisecond, history has the later one.
    let fourth = next_of(&third, |task| {
        task.progress.current = Some(4);
        task.updated_at = third.updated_at;
    });
    tasks.save(None, &first, None).await.unwrap();
    tasks.save(Some(&first), &second, None).await.unwrap();
    tasks.save(Some(&second), &third, None).await.unwrap();
    let changes = [(None, &first), (Some(&second), &third)];
    let expected = changes.map(|(previous, next)| HistoryEntry::of_change(previous, next).unwrap());
    assert_eq!(whole_history(tasks, &third).await, expected);
    tasks.save(Some(&third), &fourth, None).await.unwrap();
    let changes = [(None, &first), (Some(&third), &fourth)];
    let expected = changes.map(|(previous, next)| HistoryEntry::of_change(previous, next).unwrap());
    assert_eq!(whole_history(tasks, &fourth).await, expected);
}

/// History is sorted by time. Pages lose and repeat no entry.
pub async fn history_is_read_in_pages(stores: Stores) {
    let tasks = &*stores.tasks;
    let mut task = new_task("t");
    tasks.save(None, &task, None).await.unwrap();
    for step in [3, 1, 4, 2, 6, 5] {
        let next = next_of(&task, |task| {
            task.progress.current = Some(step);
            task.updated_at = moment(i64::try_from(step).unwrap());
        });
        tasks.save(Some(&task), &next, None).await.unwrap();
        task = next;
    }
    let all = whole_history(tasks, &task).await;
    let times: Vec<Timestamp> = all.iter().map(|entry| entry.timestamp).collect();
    assert_eq!(times, (0..=6).map(moment).collect::<Vec<_>>());
    let mut paged: Vec<HistoryEntry> = Vec::new();
    loop {
        let after = paged.last().map(|entry| entry.timestamp);
        let page = tasks.history(&task.task_id, after, None, 2).await.unwrap();
        if page.is_empty() {
            break;
        }
        paged.extend(page);
        assert!(paged.len() <= all.len(), "paging does not end");
    }
    assert_eq!(paged, all);
    let window = tasks.history(&task.task_id, Some(moment(1)), Some(moment(4)), 10);
    assert_eq!(window.await.unwrap(), all.get(2..=4).unwrap());
    let nothing = tasks.history(&task.task_id, Some(moment(4)), Some(moment(4)), 10);
    assert_eq!(nothing.await.unwrap(), []);
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
        task.updated_at = moment(i64::try_from(pick % 5).unwrap());
        tasks.save(None, &task, None).await.unwrap();
        saved.push(task);
    }
    saved.sort_by_key(|task| std::cmp::Reverse(ListPosition::of(task)));
    saved
}

async fn list_in_pages(tasks: &dyn TaskStore, query: &TaskQuery, limit: usize) -> Vec<Task> {
    let mut listed: Vec<Task> = Vec::new();
    let mut after: Option<ListPosition> = None;
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
            for (project, prefix, after) in [
                (None, None, None),
                (Some("p"), None, Some(1)),
                (Some("nobody"), None, None),
                (None, Some("task TASK-3"), None),
                (Some("q"), Some("Task task-1"), Some(0)),
                (None, Some("task-1"), None),
                (None, None, Some(2)),
                (None, None, Some(4)),
            ] {
                let query = TaskQuery {
                    statuses: statuses.clone(),
                    task_types: task_types.clone(),
                    project_id: project.map(project_id),
                    name_prefix: prefix.map(str::to_owned),
                    updated_after: after.map(moment),
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
    stores.tasks.save(None, &first, None).await.unwrap();
    stores
        .tasks
        .save(Some(&first), &second, None)
        .await
        .unwrap();
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

/// Metrics always match the present tasks, even when a task changes or leaves its project.
pub async fn metrics_follow_every_write(stores: Stores) {
    for id in ["p", "q"] {
        stores.projects.create(&new_project(id)).await.unwrap();
    }
    let mut task = new_task("t");
    stores.tasks.save(None, &task, None).await.unwrap();
    let mut other = new_task("other");
    other.project_id = Some(project_id("p"));
    other.status = TaskStatus::Failed;
    stores.tasks.save(None, &other, None).await.unwrap();
    let steps: [(Option<&str>, TaskStatus, Option<u64>); 7] = [
        (Some("p"), TaskStatus::Running, None),
        (Some("p"), TaskStatus::Running, Some(5)),
        (Some("p"), TaskStatus::Completed, Some(3000)),
        (Some("q"), TaskStatus::Completed, Some(3000)),
        (Some("q"), TaskStatus::Completed, Some(5000)),
        (Some("q"), TaskStatus::Blocked, None),
        (None, TaskStatus::Cancelled, None),
    ];
    for (project, status, duration_ms) in steps {
        let next = next_of(&task, |task| {
            task.project_id = project.map(project_id);
            task.status = status;
            task.duration_ms = duration_ms;
        });
        stores.tasks.save(Some(&task), &next, None).await.unwrap();
        task = next;
        for id in ["p", "q"] {
            let members = [&task, &other];
            let expected = recount(&members, &project_id(id));
            let metrics = metrics_of(&*stores.projects, id).await;
            assert_eq!(metrics, expected, "of {id} after {status}");
        }
    }
}

/// The metrics of a project, counted from its tasks.
pub fn recount(tasks: &[&Task], project: &ProjectId) -> Metrics {
    let members = || {
        let all = tasks.iter();
        all.filter(|task| task.project_id.as_ref() == Some(project))
    };
    let count = |status| {
        let count = members().filter(|task| task.status == status).count();
        i64::try_from(count).unwrap()
    };
    let durations = members()
        .filter(|task| task.status == TaskStatus::Completed)
        .map(|task| i64::try_from(task.duration_ms.unwrap_or(0)).unwrap());
    Metrics::from_counts(count, durations.sum())
}

/// A new project counts the tasks that named it before. Until it is created it is not there.
pub async fn metrics_count_tasks_that_are_older_than_the_project(stores: Stores) {
    let mut task = new_task("t");
    task.project_id = Some(project_id("p"));
    stores.tasks.save(None, &task, None).await.unwrap();
    let early = stores.projects.fetch(&project_id("p")).await.unwrap();
    assert_eq!(early, None);
    assert_eq!(stores.projects.list().await.unwrap(), []);
    let mut project = new_project("p");
    project.metrics.failed = 99;
    stores.projects.create(&project).await.unwrap();
    let metrics = metrics_of(&*stores.projects, "p").await;
    assert_eq!(metrics, recount(&[&task], &project_id("p")));
}

/// After a deletion only the ledger is left, and the id is free.
pub async fn a_deletion_removes_all_but_the_ledger(stores: Stores) {
    let tasks = &*stores.tasks;
    stores.projects.create(&new_project("p")).await.unwrap();
    let mut first = new_task("t");
    first.project_id = Some(project_id("p"));
    let mut task = next_of(&first, |task| task.progress.current = Some(1));
    let ledger = some_ledger();
    tasks.save(None, &first, Some(&ledger)).await.unwrap();
    tasks.save(Some(&first), &task, None).await.unwrap();
    for _ in 0..60 {
        // More than one request can delete.
        let next = next_of(&task, |task| {
            task.progress.current = task.progress.current.map(|n| n + 1)
        });
        tasks.save(Some(&task), &next, None).await.unwrap();
        task = next;
    }
    let stale = tasks.delete(&first, &ledger).await;
    assert!(is_conflict(&stale), "{stale:?}");
    assert_eq!(whole_history(tasks, &task).await.len(), 62);
    let mut left = some_ledger();
    left.delete(&task, moment(99));
    tasks.delete(&task, &left).await.unwrap();

    let ids = std::slice::from_ref(&task.task_id);
    assert_eq!(tasks.fetch(&task.task_id).await.unwrap(), None);
    assert_eq!(list(tasks, &TaskQuery::default()).await, []);
    assert_eq!(whole_history(tasks, &task).await, []);
    let metrics = metrics_of(&*stores.projects, "p").await;
    assert_eq!(metrics, Metrics::default());
    let records = tasks.fetch_records(ids).await.unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!((&records[0].task, &records[0].ledger), (&None, &left));
    let again = tasks.delete(&task, &left).await;
    assert!(is_conflict(&again), "{again:?}");
    let written = tasks.save(Some(&task), &next_of(&task, |_| {}), None).await;
    assert!(is_conflict(&written), "{written:?}");

    tasks.save(None, &first, None).await.unwrap();
    assert_eq!(ledger_of(tasks, &first).await, Ledger::default());
    assert_eq!(whole_history(tasks, &first).await.len(), 1);
    assert_eq!(list(tasks, &TaskQuery::default()).await, [first]);
}

/// A writer that has read before a deletion does not bring the task back by its logs.
pub async fn a_ledger_that_was_read_before_a_deletion_is_a_conflict(stores: Stores) {
    let tasks = &*stores.tasks;
    let task = new_task("t");
    let mut later = task.clone();
    later.revision = task.revision.next();
    let mut read_before = some_ledger();
    for _ in 0..2 {
        tasks.save(None, &task, None).await.unwrap();
        let mut ledger = some_ledger();
        ledger.delete(&task, moment(99));
        tasks.delete(&task, &ledger).await.unwrap();
        for overlooks in [&some_ledger(), &read_before] {
            let written = tasks.save(None, &later, Some(overlooks)).await;
            assert!(is_conflict(&written), "{written:?}");
        }
        let ids = std::slice::from_ref(&task.task_id);
        let left = tasks.fetch_records(ids).await.unwrap();
        assert_eq!((&left[0].task, &left[0].ledger), (&None, &ledger));
        tasks.save(None, &later, Some(&ledger)).await.unwrap();
        ledger.delete(&later, moment(199));
        tasks.delete(&later, &ledger).await.unwrap();
        read_before = ledger;
    }
}

/// Lines that arrive after a deletion are kept. Of concurrent writers one succeeds.
pub async fn the_ledger_of_a_deleted_task_can_be_saved(stores: Stores) {
    let tasks = &*stores.tasks;
    let task = new_task("t");
    let never_deleted = tasks.save_deleted(&task.task_id, &some_ledger()).await;
    assert!(is_conflict(&never_deleted), "{never_deleted:?}");
    tasks.save(None, &task, None).await.unwrap();
    let mut deleted = Ledger::default();
    deleted.delete(&task, moment(99));
    let alive = tasks.save_deleted(&task.task_id, &deleted).await;
    assert!(is_conflict(&alive), "{alive:?}");
    tasks.delete(&task, &deleted).await.unwrap();

    let mut said = deleted.clone();
    said.merge(some_ledger());
    tasks.save_deleted(&task.task_id, &said).await.unwrap();
    let ids = std::slice::from_ref(&task.task_id);
    let left = tasks.fetch_records(ids).await.unwrap().remove(0);
    assert_eq!(left.task, None);
    said.count_deletion();
    assert_eq!(left.ledger, said);
    // A writer with the old ledger would undo it.
    let second = tasks.save_deleted(&task.task_id, &deleted).await;
    assert!(is_conflict(&second), "{second:?}");
    let mut later = task.clone();
    later.revision = said.deleted_revision().unwrap().next();
    let second = tasks.save(None, &later, Some(&deleted)).await;
    assert!(is_conflict(&second), "{second:?}");
    tasks.save(None, &later, Some(&said)).await.unwrap();
    assert_eq!(ledger_of(tasks, &later).await, said);
}

fn record_of(key: &str, task: &Task) -> IdempotencyRecord {
    IdempotencyRecord {
        key: key.to_owned(),
        digest: format!("digest of {}", task.task_id),
        task_id: task.task_id.clone(),
        response: r#"{"task_id":"進捗"}"#.to_owned(),
        made_at: Timestamp::now(),
    }
}

/// A repeated request finds the record of the first one, even if the task exists.
pub async fn a_repeated_request_finds_the_idempotency_record(stores: Stores) {
    let tasks = &*stores.tasks;
    let (one, other) = (new_task("one"), new_task("other"));
    let first = record_of("key", &one);
    assert_eq!(tasks.create(&one, &first).await.unwrap(), None);
    for task in [&one, &other] {
        let again = tasks.create(task, &record_of("key", task)).await.unwrap();
        assert_eq!(again.as_ref(), Some(&first));
    }
    assert_eq!(tasks.fetch(&other.task_id).await.unwrap(), None);
    assert_eq!(tasks.fetch(&one.task_id).await.unwrap(), Some(one));
    let late = IdempotencyRecord {
        made_at: first.made_at.after(IDEMPOTENCY_RECORD_LIFETIME),
        ..record_of("key", &other)
    };
    assert_eq!(tasks.create(&other, &late).await.unwrap(), None);
    assert_eq!(tasks.fetch(&other.task_id).await.unwrap(), Some(other));
}

/// A failed request can be tried again.
pub async fn a_failed_creation_leaves_no_idempotency_record(stores: Stores) {
    let tasks = &*stores.tasks;
    let (one, other) = (new_task("one"), new_task("other"));
    tasks.save(None, &one, None).await.unwrap();
    let refused = tasks.create(&one, &record_of("key", &one)).await;
    assert!(is_conflict(&refused), "{refused:?}");
    let made = tasks.create(&other, &record_of("key", &other)).await;
    assert_eq!(made.unwrap(), None);
}

/// The estimate is the mean over completed runs of the same type and name.
pub async fn the_duration_estimate_is_the_mean_of_completed_runs(stores: Stores) {
    let tasks = &*stores.tasks;
    let usual = async |task: &Task| tasks.usual_duration_ms(task).await.unwrap();
    let complete = async |id: &str, usual_ms, duration_ms| {
        let mut task = new_task(id);
        task.task_name = "Deploy · Api".to_owned();
        task.usual_duration_ms = usual_ms;
        tasks.save(None, &task, None).await.unwrap();
        let done = next_of(&task, |task| {
            task.status = TaskStatus::Completed;
            task.duration_ms = Some(duration_ms);
        });
        tasks.save(Some(&task), &done, None).await.unwrap();
        // A later change of a completed run does not count.
        let edited = next_of(&done, |task| task.duration_ms = Some(1));
        tasks.save(Some(&done), &edited, None).await.unwrap();
        edited
    };
    let first = complete("first", None, 4000).await;
    assert_eq!(usual(&first).await, Some(4000));
    let second = complete("second", Some(4000), 2000).await;
    assert_eq!(usual(&second).await, Some(3000));
    assert_eq!(usual(&new_task("other")).await, None);
    let other_type = Task {
        task_type: TaskType::Other,
        ..second.clone()
    };
    assert_eq!(usual(&other_type).await, None);
    assert_eq!(list(tasks, &TaskQuery::default()).await.len(), 2);
}

/// A change on top of a stale revision is a conflict. No change touches the metrics.
pub async fn a_stale_project_revision_is_a_conflict(stores: Stores) {
    let projects = &*stores.projects;
    let mut first = new_project("p");
    first.description = Some("All of it".to_owned());
    first.owner = Some("雅".to_owned());
    let absent = projects.update(&first, &first).await;
    assert!(is_conflict(&absent), "{absent:?}");
    projects.create(&first).await.unwrap();
    let mut task = new_task("t");
    task.project_id = Some(project_id("p"));
    stores.tasks.save(None, &task, None).await.unwrap();
    let next = Project {
        project_name: "Another name".to_owned(),
        description: None,
        owner: None,
        status: ProjectStatus::Archived,
        match_prefixes: vec!["Prod".to_owned()],
        revision: first.revision.next(),
        updated_at: moment(5),
        ..first.clone()
    };
    projects.update(&first, &next).await.unwrap();
    let stale = projects.update(&first, &next).await;
    assert!(is_conflict(&stale), "{stale:?}");
    let stored = projects.fetch(&first.project_id).await.unwrap();
    let expected = Project {
        metrics: recount(&[&task], &project_id("p")),
        ..next
    };
    assert_eq!(stored, Some(expected));
}

/// All fields of a project survive, and a second creation is a conflict.
pub async fn a_project_is_created_once(stores: Stores) {
    let project = Project {
        description: Some("All of it".to_owned()),
        status: ProjectStatus::Paused,
        owner: Some("雅".to_owned()),
        match_prefixes: vec!["Miyabi".to_owned(), String::new()],
        updated_at: moment(7),
        ..new_project("p")
    };
    stores.projects.create(&project).await.unwrap();
    let again = stores.projects.create(&new_project("p")).await;
    assert!(is_conflict(&again), "{again:?}");
    let stored = stores.projects.fetch(&project.project_id).await.unwrap();
    assert_eq!(stored, Some(project));
}

/// All projects are listed, sorted by id.
pub async fn projects_are_listed_by_id(stores: Stores) {
    for id in ["b", "B", "a.1", "a"] {
        stores.projects.create(&new_project(id)).await.unwrap();
    }
    let projects = stores.projects.list().await.unwrap();
    let ids: Vec<String> = projects
        .into_iter()
        .map(|project| project.project_id.into())
        .collect();
    assert_eq!(ids, ["B", "a", "a.1", "b"]);
}

/// Of two collectors, the later checkpoint stays.
pub async fn a_checkpoint_never_goes_back(stores: Stores) {
    let checkpoints = &*stores.checkpoints;
    let at = |read_up_to, saved_at| Checkpoint {
        read_up_to: moment(read_up_to),
        saved_at: moment(saved_at),
        resume: None,
    };
    for (saved, held) in [
        (at(10, 11), at(10, 11)),
        (at(9, 12), at(10, 11)),
        (at(10, 13), at(10, 13)),
        (at(20, 14), at(20, 14)),
    ] {
        checkpoints.save("/log/group", saved).await.unwrap();
        let loaded = checkpoints.load("/log/group").await.unwrap();
        assert_eq!(loaded, Some(held));
    }
    assert_eq!(checkpoints.load("/log").await.unwrap(), None);
}

/// A resume point is saved with its checkpoint, and replaced by a checkpoint of the same time. A
/// checkpoint without one removes it, and a collector that lags does not bring it back.
pub async fn a_resume_point_is_kept_until_its_window_is_finished(stores: Stores) {
    let checkpoints = &*stores.checkpoints;
    let at = |read_up_to, saved_at, next_token: Option<&str>| Checkpoint {
        read_up_to: moment(read_up_to),
        saved_at: moment(saved_at),
        resume: next_token.map(|next_token| Resume {
            start: moment(5),
            end: moment(30),
            next_token: next_token.to_owned(),
        }),
    };
    let long = "Bxkq6kVGFtq2y_Moigeqscg0:".repeat(80);
    for (saved, held) in [
        (at(10, 11, Some("1")), at(10, 11, Some("1"))),
        (at(10, 12, Some(&long)), at(10, 12, Some(&long))),
        (at(9, 13, Some("3")), at(10, 12, Some(&long))),
        (at(30, 14, None), at(30, 14, None)),
        (at(10, 15, Some("4")), at(30, 14, None)),
        (at(30, 16, Some("5")), at(30, 16, Some("5"))),
        (at(30, 17, None), at(30, 17, None)),
    ] {
        checkpoints.save("/log/group", saved).await.unwrap();
        let loaded = checkpoints.load("/log/group").await.unwrap();
        assert_eq!(loaded, Some(held));
    }
}

/// A working store answers a ping.
pub async fn stores_answer_a_ping(stores: Stores) {
    stores.tasks.ping().await.unwrap();
}
