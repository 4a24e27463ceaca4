//! What every store must do: the contracts of the traits as checks, for tests of each implementation.
//!
//! [`store_conformance!`](crate::store_conformance) makes a test of each check.
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a check fails by panicking"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use shared::checkpoint::{Checkpoint, Resume};
use shared::fold::Ledger;
use shared::model::{
    HistoryEntry, Metrics, Part, Priority, Progress, Project, ProjectId, ProjectStatus, Revision,
    Task, TaskId, TaskStatus, TaskType, Timestamp,
};
use shared::store::{
    IDEMPOTENCY_RECORD_LIFETIME, IdempotencyRecord, ListPosition, ProjectStore, StoreError, Stores,
    TaskPage, TaskQuery, TaskStore,
};

/// Makes a test of each check. `$make` is an async function that gives empty
/// [`Stores`], and whatever must live as long as they do.
#[macro_export]
macro_rules! store_conformance {
    ($make:path) => {
        $crate::store_conformance! { @checks $make:
            a_saved_task_is_read_as_it_was,
            what_is_not_there_is_none,
            a_stale_revision_is_a_conflict_and_changes_nothing,
            of_many_writers_one_wins,
            a_field_that_is_gone_is_gone,
            text_that_looks_like_an_expression_is_a_value,
            a_ledger_stays_where_none_is_given,
            many_records_are_read_at_once,
            history_has_one_entry_a_change,
            history_is_read_in_pages,
            lists_are_newest_first_in_pages,
            lists_keep_what_is_asked_for,
            a_task_is_listed_once_where_it_is_now,
            metrics_follow_every_write,
            metrics_count_tasks_that_came_before_the_project,
            a_deleted_task_is_gone_and_what_its_logs_said_is_not,
            a_deletion_is_not_overlooked,
            what_is_said_of_a_deleted_task_is_kept,
            a_receipt_is_left_once,
            a_receipt_is_not_left_where_no_task_is_made,
            completed_runs_tell_how_long_such_runs_take,
            a_project_is_made_once,
            a_project_is_changed_at_the_revision_that_was_read,
            projects_are_listed_by_id,
            a_checkpoint_never_goes_back,
            an_unfinished_window_is_kept_until_it_is_finished,
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

/// A moment, `ms` after one that is not far from today.
pub fn moment(ms: i64) -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000 + ms)
}

/// A task that was just made: pending, at [`moment`] 0, with nothing that it need not have.
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

/// `task` as its next write has it, a second later.
pub fn next_of(task: &Task, change: impl FnOnce(&mut Task)) -> Task {
    let mut next = task.clone();
    next.revision = task.revision.next();
    next.updated_at = Timestamp::from_millis(task.updated_at.as_millis() + 1000);
    change(&mut next);
    next
}

/// A project that was just made.
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

/// Nothing of a task is lost or changed, whatever it has.
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

/// What was never saved is no error.
pub async fn what_is_not_there_is_none(stores: Stores) {
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

/// A write that builds on what is no longer true does nothing at all.
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

/// Of writers that start from one state, one wins and the others learn it.
pub async fn of_many_writers_one_wins(stores: Stores) {
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

/// A write replaces a task, it does not add to it.
pub async fn a_field_that_is_gone_is_gone(stores: Stores) {
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

/// What is written and asked for is a value, whatever it looks like: it reaches no expression.
pub async fn text_that_looks_like_an_expression_is_a_value(stores: Stores) {
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

/// A write without a ledger leaves the one that is there.
pub async fn a_ledger_stays_where_none_is_given(stores: Stores) {
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

/// Any number of records is read, each once, however often it is asked for.
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
    let mut asked = task_ids.clone();
    asked.push("nobody".parse().unwrap());
    asked.extend(task_ids.iter().take(3).cloned());
    let records = stores.tasks.fetch_records(&asked).await.unwrap();
    let with_ledger = records.iter().filter(|record| !record.ledger.is_empty());
    assert_eq!(with_ledger.count(), 60);
    let mut found: Vec<TaskId> = records.into_iter().map(|record| record.task_id).collect();
    found.sort_unstable();
    task_ids.sort_unstable();
    assert_eq!(found, task_ids);
}

/// History has an entry where progress changed, and none where it did not.
pub async fn history_has_one_entry_a_change(stores: Stores) {
    let tasks = &*stores.tasks;
    let first = new_task("t");
    let second = next_of(&first, |task| task.message = Some("still waiting".into()));
    let third = next_of(&second, |task| task.progress.current = Some(3));
    // Two changes of one millisecond show as the later one.
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

/// History is oldest first, whatever the order of the writes, and no entry is twice or lost in pages.
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
        assert!(paged.len() <= all.len(), "pages without end");
    }
    assert_eq!(paged, all);
    let window = tasks.history(&task.task_id, Some(moment(1)), Some(moment(4)), 10);
    assert_eq!(window.await.unwrap(), all.get(2..=4).unwrap());
    let nothing = tasks.history(&task.task_id, Some(moment(4)), Some(moment(4)), 10);
    assert_eq!(nothing.await.unwrap(), []);
}

/// Forty tasks of all kinds, some of one millisecond, newest first.
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
        assert!(after.is_none_or(|after| next < after), "pages without end");
        after = Some(next);
    }
}

/// Lists have one order, and no task is twice or lost in pages of any size.
pub async fn lists_are_newest_first_in_pages(stores: Stores) {
    let saved = save_forty(&*stores.tasks).await;
    for limit in [1, 7, 40, 200] {
        let listed = list_in_pages(&*stores.tasks, &TaskQuery::default(), limit).await;
        assert_eq!(listed, saved, "in pages of {limit}");
    }
}

/// Filters keep exactly the tasks they name.
pub async fn lists_keep_what_is_asked_for(stores: Stores) {
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

/// A task that changes its place is found in the new one alone.
pub async fn a_task_is_listed_once_where_it_is_now(stores: Stores) {
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

/// Metrics are those of the tasks as they are, also when a task moves between projects or leaves them.
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

/// A project that is made late knows of the tasks that named it early; until then it is not there.
pub async fn metrics_count_tasks_that_came_before_the_project(stores: Stores) {
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

/// A deleted task is nowhere, but for its ledger; and its id is free for another.
pub async fn a_deleted_task_is_gone_and_what_its_logs_said_is_not(stores: Stores) {
    let tasks = &*stores.tasks;
    stores.projects.create(&new_project("p")).await.unwrap();
    let mut first = new_task("t");
    first.project_id = Some(project_id("p"));
    let mut task = next_of(&first, |task| task.progress.current = Some(1));
    let ledger = some_ledger();
    tasks.save(None, &first, Some(&ledger)).await.unwrap();
    tasks.save(Some(&first), &task, None).await.unwrap();
    for _ in 0..60 {
        // More than one request takes.
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

/// Who has read before a deletion, or before there was a task at all, does not bring it back by its logs.
pub async fn a_deletion_is_not_overlooked(stores: Stores) {
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

/// What is said after a deletion is kept once, whoever says it.
pub async fn what_is_said_of_a_deleted_task_is_kept(stores: Stores) {
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
    said.merge(&some_ledger());
    tasks.save_deleted(&task.task_id, &said).await.unwrap();
    let ids = std::slice::from_ref(&task.task_id);
    let left = tasks.fetch_records(ids).await.unwrap().remove(0);
    assert_eq!(left.task, None);
    said.count_deletion();
    assert_eq!(left.ledger, said);
    // Who has not seen that would undo it.
    let second = tasks.save_deleted(&task.task_id, &deleted).await;
    assert!(is_conflict(&second), "{second:?}");
    let mut later = task.clone();
    later.revision = said.deleted_revision().unwrap().next();
    let second = tasks.save(None, &later, Some(&deleted)).await;
    assert!(is_conflict(&second), "{second:?}");
    tasks.save(None, &later, Some(&said)).await.unwrap();
    assert_eq!(ledger_of(tasks, &later).await, said);
}

fn receipt(key: &str, task: &Task) -> IdempotencyRecord {
    IdempotencyRecord {
        key: key.to_owned(),
        digest: format!("digest of {}", task.task_id),
        task_id: task.task_id.clone(),
        answer: r#"{"task_id":"進捗"}"#.to_owned(),
        made_at: Timestamp::now(),
    }
}

/// A request that is repeated finds the receipt of the first time, also where the task is there already.
pub async fn a_receipt_is_left_once(stores: Stores) {
    let tasks = &*stores.tasks;
    let (one, other) = (new_task("one"), new_task("other"));
    let first = receipt("key", &one);
    assert_eq!(tasks.create(&one, &first).await.unwrap(), None);
    for task in [&one, &other] {
        let again = tasks.create(task, &receipt("key", task)).await.unwrap();
        assert_eq!(again.as_ref(), Some(&first));
    }
    assert_eq!(tasks.fetch(&other.task_id).await.unwrap(), None);
    assert_eq!(tasks.fetch(&one.task_id).await.unwrap(), Some(one));
    let late = IdempotencyRecord {
        made_at: first.made_at.after(IDEMPOTENCY_RECORD_LIFETIME),
        ..receipt("key", &other)
    };
    assert_eq!(tasks.create(&other, &late).await.unwrap(), None);
    assert_eq!(tasks.fetch(&other.task_id).await.unwrap(), Some(other));
}

/// A request that fails may be tried again.
pub async fn a_receipt_is_not_left_where_no_task_is_made(stores: Stores) {
    let tasks = &*stores.tasks;
    let (one, other) = (new_task("one"), new_task("other"));
    tasks.save(None, &one, None).await.unwrap();
    let refused = tasks.create(&one, &receipt("key", &one)).await;
    assert!(is_conflict(&refused), "{refused:?}");
    let made = tasks.create(&other, &receipt("key", &other)).await;
    assert_eq!(made.unwrap(), None);
}

/// Of completed runs of one type and name the mean counts; of others nothing.
pub async fn completed_runs_tell_how_long_such_runs_take(stores: Stores) {
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
        // A later change of a run that is over tells nothing.
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

/// A change that builds on what is no longer true is a conflict, and none touches the metrics.
pub async fn a_project_is_changed_at_the_revision_that_was_read(stores: Stores) {
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

/// A project is read as it was made, and not made again.
pub async fn a_project_is_made_once(stores: Stores) {
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

/// All projects are listed, by id.
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

/// Of two collectors the one that is ahead wins.
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

/// Where a window goes on is kept with its checkpoint, moves on with equal checkpoints, is gone once one is saved
/// without it, and is not brought back by a collector that lags.
pub async fn an_unfinished_window_is_kept_until_it_is_finished(stores: Stores) {
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

/// A store that works says so.
pub async fn stores_answer_a_ping(stores: Stores) {
    stores.tasks.ping().await.unwrap();
}
