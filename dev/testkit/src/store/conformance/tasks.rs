//! Checks of single writes.

use std::collections::BTreeMap;
use std::sync::Arc;

use shared::model::{
    Agent, Context, Failure, Metrics, Part, Priority, Progress, RunId, Task, TaskId, TaskStatus,
    TaskType, Timestamp, TodoItem, TodoStatus,
};
use shared::store::{
    IDEMPOTENCY_RECORD_LIFETIME, IdempotencyRecord, StoreError, TaskPage, TaskQuery,
};

use super::changes::project_id;
use super::history::whole_history;
use super::lists::list;
use super::metrics::metrics_of;
use super::{change_of, fetch_run, live, moment, new_project, new_task, next_of, record_of, save};
use crate::embedded_dynamodb::Stores;

pub(super) fn full_task(id: &str) -> Task {
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
    let todo = |status| TodoItem {
        text: format!("進捗 {status:?}"),
        status,
    };
    let metadata = serde_json::json!({"exact": 0.1, "large": u64::MAX, "nested": {"": [null, ""]}});
    Task {
        task_name: "MiyabiWebUIStack".to_owned(),
        task_type: TaskType::AgentExecution,
        status: TaskStatus::Running,
        priority: Some(Priority::P0),
        progress,
        parts: BTreeMap::from([("Stack".to_owned(), part.clone()), (String::new(), part)]),
        context: Some(Box::new(Context {
            actor: Some("mia".to_owned()),
            ci_url: Some("https://ci.example.com/7".to_owned()),
            ..Context::default()
        })),
        agent: Some(Box::new(Agent {
            model: Some("m-1".to_owned()),
            input_tokens: Some(u64::MAX),
            cost_micro_usd: Some(1_000_000_000_000_001),
            waiting_for: Some("進捗?".to_owned()),
            todos: [
                TodoStatus::Pending,
                TodoStatus::InProgress,
                TodoStatus::Done,
            ]
            .map(todo)
            .into(),
            ..Agent::default()
        })),
        project_id: Some(project_id("p.1")),
        message: Some(String::new()),
        failure: Some(Box::new(Failure {
            cause: "it exists".to_owned(),
            resource: Some("Jobs1A2B3C4D".to_owned()),
            resource_type: Some("AWS::SQS::Queue".to_owned()),
            part: Some("Stack".to_owned()),
            context: vec!["before".to_owned(), String::new()],
            at: moment(2),
        })),
        phase: Some("deploying".to_owned()),
        current_step: Some("3 of 4".to_owned()),
        log_group: Some("/aws/codebuild/deploy".to_owned()),
        log_stream: Some("a#b".to_owned()),
        started_at: Some(moment(1)),
        completed_at: Some(moment(2)),
        duration_ms: Some(u64::MAX),
        usual_duration_ms: Some(u64::MAX),
        corrections: 7,
        metadata: metadata.as_object().cloned(),
        ..new_task(id)
    }
}

pub(super) fn is_conflict<T>(outcome: &Result<T, StoreError>) -> bool {
    matches!(outcome, Err(StoreError::Conflict(_)))
}

/// All fields of a task survive a save. Lists leave out parts, to-do lists and the lines before a
/// failure.
pub async fn a_saved_task_is_read_as_it_was(stores: Stores) {
    for task in [new_task("least"), full_task("most")] {
        save(&*stores.tasks, None, &task).await.unwrap();
        let fetched = stores.tasks.fetch(&task.record_id()).await.unwrap();
        assert_eq!(fetched.as_ref(), Some(&task));
        let record = record_of(&*stores.tasks, &task.task_id).await;
        assert_eq!(record.newest, Some(live(&task)));
        let query = TaskQuery {
            task_types: vec![task.task_type],
            ..TaskQuery::default()
        };
        assert_eq!(list(&*stores.tasks, &query).await, [task.listed()]);
    }
}

/// A record that was never saved is no error.
pub async fn missing_records_are_none(stores: Stores) {
    let id: TaskId = "nobody".parse().unwrap();
    assert_eq!(stores.tasks.fetch(&id.clone().into()).await.unwrap(), None);
    let records = stores.tasks.fetch_records(std::slice::from_ref(&id)).await;
    assert_eq!(records.unwrap(), []);
    assert_eq!(stores.tasks.fetch_records(&[]).await.unwrap(), []);
    let listed = stores.tasks.list(&TaskQuery::default(), None, 200).await;
    assert_eq!(listed.unwrap(), TaskPage::default());
    let run_id = RunId {
        task_id: id.clone(),
        run: moment(0),
    };
    let history = stores.tasks.history(&run_id, None, None, 10).await;
    assert_eq!(history.unwrap(), []);
    assert_eq!(stores.tasks.runs(&id, None, 10).await.unwrap(), []);
    assert_eq!(fetch_run(&*stores.tasks, run_id).await, None);
    let project = stores.projects.fetch(&project_id("nobody")).await;
    assert_eq!(project.unwrap(), None);
    assert_eq!(stores.projects.list().await.unwrap(), []);
    let totals = stores.projects.totals().await.unwrap();
    assert_eq!(totals, Metrics::default());
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
    let early = save(tasks, Some(&first), &second).await;
    assert!(is_conflict(&early), "{early:?}");
    save(tasks, None, &first).await.unwrap();
    save(tasks, Some(&first), &second).await.unwrap();
    let history = whole_history(tasks, &second).await;
    let metrics = metrics_of(&*stores.projects, "p").await;
    let mut of_another_life = change_of(Some(&second), &next_of(&second, |_| {}));
    of_another_life.items.life += 1;
    let outcome = tasks.save(&of_another_life).await;
    assert!(is_conflict(&outcome), "{outcome:?}");
    for previous in [None, Some(&first)] {
        let outcome = save(tasks, previous, &other).await;
        assert!(is_conflict(&outcome), "{outcome:?}");
    }
    let stored = tasks.fetch(&second.record_id()).await.unwrap();
    assert_eq!(stored.as_ref(), Some(&second));
    assert_eq!(whole_history(tasks, &second).await, history);
    assert_eq!(metrics_of(&*stores.projects, "p").await, metrics);
}

/// Of writers that start from one state, one succeeds and the others get a conflict.
pub async fn one_of_many_concurrent_writers_wins(stores: Stores) {
    let first = new_task("t");
    save(&*stores.tasks, None, &first).await.unwrap();
    let writes = (0..8).map(|writer: u8| {
        let next = next_of(&first, |task| task.message = Some(writer.to_string()));
        let (tasks, first) = (Arc::clone(&stores.tasks), first.clone());
        async move {
            let outcome = save(&*tasks, Some(&first), &next).await;
            assert!(outcome.is_ok() || is_conflict(&outcome), "{outcome:?}");
            outcome.is_ok().then_some(next)
        }
    });
    let outcomes = futures::future::join_all(writes).await;
    let winners: Vec<Task> = outcomes.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1);
    let stored = stores.tasks.fetch(&first.record_id()).await.unwrap();
    assert_eq!(stored.as_ref(), winners.first());
}

/// A write replaces the whole task.
pub async fn a_save_replaces_all_fields(stores: Stores) {
    let full = full_task("t");
    let bare = Task {
        revision: full.revision.next(),
        ..new_task("t")
    };
    save(&*stores.tasks, None, &full).await.unwrap();
    save(&*stores.tasks, Some(&full), &bare).await.unwrap();
    let stored = stores.tasks.fetch(&full.record_id()).await.unwrap();
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
        save(tasks, None, &task).await.unwrap();
        let next = next_of(&task, |task| task.log_stream = Some((*text).to_owned()));
        save(tasks, Some(&task), &next).await.unwrap();
        made.push(next);
    }
    for (task, text) in made.iter().zip(hostile) {
        assert_eq!(
            tasks.fetch(&task.record_id()).await.unwrap().as_ref(),
            Some(task)
        );
        let query = TaskQuery {
            text: Some(text.to_owned()),
            ..TaskQuery::default()
        };
        assert_eq!(list(tasks, &query).await, std::slice::from_ref(task));
    }
    let metrics = metrics_of(&*stores.projects, "p").await;
    assert_eq!(metrics.total_tasks, 6);
}

/// Any number of records can be read. Duplicate ids give one record.
pub async fn many_records_are_read_at_once(stores: Stores) {
    let tasks = &*stores.tasks;
    let mut task_ids = Vec::new();
    for number in 0..120 {
        let task = new_task(&format!("task-{number}"));
        save(tasks, None, &task).await.unwrap();
        task_ids.push(task.task_id);
    }
    let mut requested = task_ids.clone();
    requested.push("nobody".parse().unwrap());
    requested.extend(task_ids.iter().take(3).cloned());
    let records = tasks.fetch_records(&requested).await.unwrap();
    let mut found: Vec<TaskId> = records.into_iter().map(|record| record.task_id).collect();
    found.sort_unstable();
    task_ids.sort_unstable();
    assert_eq!(found, task_ids);
}

fn receipt_of(key: &str, task: &Task) -> IdempotencyRecord {
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
    let first = receipt_of("key", &one);
    assert_eq!(
        tasks.create(&change_of(None, &one), &first).await.unwrap(),
        None
    );
    for task in [&one, &other] {
        let again = tasks
            .create(&change_of(None, task), &receipt_of("key", task))
            .await
            .unwrap();
        assert_eq!(again.as_ref(), Some(&first));
    }
    assert_eq!(tasks.fetch(&other.record_id()).await.unwrap(), None);
    assert_eq!(tasks.fetch(&one.record_id()).await.unwrap(), Some(one));
    let late = IdempotencyRecord {
        made_at: first.made_at.after(IDEMPOTENCY_RECORD_LIFETIME),
        ..receipt_of("key", &other)
    };
    assert_eq!(
        tasks.create(&change_of(None, &other), &late).await.unwrap(),
        None
    );
    assert_eq!(tasks.fetch(&other.record_id()).await.unwrap(), Some(other));
}

/// A failed request can be tried again.
pub async fn a_failed_creation_leaves_no_idempotency_record(stores: Stores) {
    let tasks = &*stores.tasks;
    let (one, other) = (new_task("one"), new_task("other"));
    save(tasks, None, &one).await.unwrap();
    let refused = tasks
        .create(&change_of(None, &one), &receipt_of("key", &one))
        .await;
    assert!(is_conflict(&refused), "{refused:?}");
    let made = tasks
        .create(&change_of(None, &other), &receipt_of("key", &other))
        .await;
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
        save(tasks, None, &task).await.unwrap();
        let done = next_of(&task, |task| {
            task.status = TaskStatus::Completed;
            task.duration_ms = Some(duration_ms);
        });
        save(tasks, Some(&task), &done).await.unwrap();
        // A later change of a completed run does not count.
        let edited = next_of(&done, |task| task.duration_ms = Some(1));
        save(tasks, Some(&done), &edited).await.unwrap();
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

/// A working store answers a ping.
pub async fn stores_answer_a_ping(stores: Stores) {
    stores.tasks.ping().await.unwrap();
}
