//! Lists while tasks change, and lists of tasks with much to show.

use std::collections::BTreeMap;
use std::time::Duration;

use shared::batch::Batch;
use shared::config::StoreConfig;
use shared::ingest::{Ingest, IngestCounts, Pace};
use shared::log_event::LogEvent;
use shared::log_parser::LogFormat;
use shared::model::{RunId, Task, TaskStatus, TaskType};
use shared::store::dynamodb::DynamoDbTaskStore;
use shared::store::{TaskQuery, TaskStore, TimeRange};
use shared::task_reader::{ListRequest, TaskReader, WriteThrough};
use shared::view::Renderer;
use testkit::embedded_dynamodb::EmbeddedDynamoDb;
use testkit::read_meter::ReadMeter;
use testkit::store::conformance::{create, edit, moment, new_task, next_of, save, to_status};
use testkit::store::memory::InMemoryStore;
use tokio::time::sleep;

const TASKS: usize = 1000;
const PAGE: usize = 50;

/// How often a walk through all pages has found each run.
async fn walk(store: &InMemoryStore, query: &TaskQuery) -> BTreeMap<RunId, usize> {
    let mut found = BTreeMap::new();
    let mut after: Option<RunId> = None;
    loop {
        let page = TaskStore::list(store, query, after.as_ref(), PAGE).await;
        let page = page.unwrap();
        for task in page.tasks {
            *found.entry(task.run_id()).or_default() += 1;
        }
        let Some(next) = page.next else {
            return found;
        };
        after = Some(next);
        sleep(Duration::from_millis(200)).await;
    }
}

/// Changes the tasks in turn, one each millisecond, and begins new ones.
async fn keep_changing(store: &InMemoryStore, tasks: &[Task]) {
    let mut present = tasks.to_vec();
    for number in 0_usize.. {
        let task = &mut present[number * 7 % TASKS];
        let now = moment(i64::try_from(number).unwrap() + 1_000_000);
        let next = next_of(task, |task| {
            task.status = TaskStatus::ALL[number % TaskStatus::ALL.len()];
            task.updated_at = now;
        });
        save(store, Some(task), &next).await.unwrap();
        *task = next;
        if number % 10 == 0 {
            let mut new = new_task(&format!("new-{number}"));
            (new.run, new.updated_at) = (now, now);
            save(store, None, &new).await.unwrap();
        }
        sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_walk_finds_each_run_once_while_a_thousand_tasks_change_each_second() {
    let store = InMemoryStore::with_lagging_lists(Duration::from_secs(2));
    let mut tasks = Vec::new();
    for number in 0..TASKS {
        let mut task = new_task(&format!("task-{number}"));
        task.run = moment(i64::try_from(number / 3).unwrap());
        task.project_id = Some("p".parse().unwrap());
        save(&store, None, &task).await.unwrap();
        tasks.push(task);
    }
    sleep(Duration::from_secs(2)).await;
    let of_project = TaskQuery {
        project_id: Some("p".parse().unwrap()),
        ..TaskQuery::default()
    };
    let of_type = TaskQuery {
        task_types: vec![TaskType::CdkDeploy],
        ..TaskQuery::default()
    };
    let walks = async {
        for query in [TaskQuery::default(), of_project, of_type] {
            let found = walk(&store, &query).await;
            let missed = tasks
                .iter()
                .filter(|task| !found.contains_key(&task.run_id()));
            assert_eq!(missed.count(), 0, "{query:?}");
            assert!(found.values().all(|times| *times == 1), "{query:?}");
        }
    };
    tokio::select! {
        () = walks => {}
        () = keep_changing(&store, &tasks) => unreachable!("it never ends"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_walk_repeats_no_run_while_later_runs_begin() {
    let store = InMemoryStore::with_lagging_lists(Duration::from_secs(2));
    let mut first = Vec::new();
    for number in 0..200 {
        let id = format!("task-{number}");
        let run = create(&store, &id, None, moment(number)).await;
        first.push(edit(&store, &run, to_status(TaskStatus::Failed), moment(number)).await);
    }
    sleep(Duration::from_secs(2)).await;
    let begin_later_runs = async {
        for (number, task) in first.iter().enumerate() {
            let now = moment(i64::try_from(number).unwrap() + 10_000);
            create(&store, task.task_id.as_str(), None, now).await;
            sleep(Duration::from_millis(5)).await;
        }
    };
    let all = TaskQuery::default();
    let (found, ()) = tokio::join!(walk(&store, &all), begin_later_runs);
    assert!(found.values().all(|times| *times == 1));
    sleep(Duration::from_secs(2)).await;
    let found = walk(&store, &all).await;
    assert_eq!(found.len(), 400);
}

/// The default page of the API, in bytes, and the number of its tasks.
async fn default_page(stores: testkit::embedded_dynamodb::Stores) -> (usize, usize) {
    let renderer = Renderer::new(Duration::from_secs(900));
    let reader = TaskReader::new(stores.tasks, stores.projects, None, renderer);
    let request = ListRequest {
        query: TaskQuery::default(),
        after: None,
        limit: 50,
    };
    let page = reader.list_tasks(&request, RunId::to_string, &[], moment(0));
    let json = page.await.unwrap().current().unwrap().json;
    let page: serde_json::Value = serde_json::from_slice(&json).unwrap();
    (json.len(), page["tasks"].as_array().unwrap().len())
}

#[tokio::test]
async fn a_page_of_streams_with_many_quoted_errors_is_short() {
    let database = EmbeddedDynamoDb::start().await.unwrap();
    let stores = database.stores();
    let write_through = WriteThrough::new(None, Renderer::new(Duration::from_secs(900)));
    let ingest = Ingest::new(stores.tasks.clone(), stores.projects.clone(), write_through);
    let quotes = format!("broken {}", "\"".repeat(2000));
    for stream in 0..24 {
        let mut batch = Batch::default();
        let started = (0..200).map(|stack| format!("Stack{stack}: deploying..."));
        let failed =
            (0..200).map(|stack| format!("\u{274c}  Stack{stack} failed: Error: {quotes}"));
        for (number, message) in (0..).zip(started.chain(failed)) {
            let event = LogEvent {
                log_stream: format!("deploy-{stream}"),
                timestamp: moment(number),
                ingested_at: moment(number),
                event_id: format!("{number:056}"),
                message,
            };
            batch.add(LogFormat::CDK, "/aws/codebuild/shop", &event);
        }
        let mut counts = IngestCounts::default();
        ingest
            .save(&mut batch, Pace::ALWAYS, moment(1000), &mut counts)
            .await
            .unwrap();
    }
    let task = stores.tasks.fetch(&"cdk:deploy-7".parse().unwrap()).await;
    let task = task.unwrap().unwrap();
    assert_eq!(task.parts.len(), 200);
    let size = serde_json::to_vec(&task).unwrap().len();
    assert!(size > 80_000, "{size}");
    let (bytes, tasks) = default_page(stores).await;
    assert_eq!(tasks, 24);
    assert!(bytes < 100_000, "{bytes}");
}

#[tokio::test]
async fn a_page_of_large_entries_ends_at_1_mb() {
    let database = EmbeddedDynamoDb::start().await.unwrap();
    let large = |number: usize| {
        let mut task = new_task(&format!("task-{number}"));
        task.run = moment(i64::try_from(number).unwrap());
        task.message = Some("\u{1}".repeat(1024));
        task.task_name = "\u{1}".repeat(256);
        (task.phase, task.current_step) = (task.message.clone(), task.message.clone());
        task
    };
    database.fill((0..50).map(large)).unwrap();
    let (bytes, tasks) = default_page(database.stores()).await;
    assert!((950_000..1_000_100).contains(&bytes), "{bytes}");
    assert!((40..50).contains(&tasks), "{tasks}");
}

#[tokio::test]
async fn a_page_costs_the_same_however_many_tasks_are_stored() {
    let database = EmbeddedDynamoDb::start().await.unwrap();
    let (client, meter) = ReadMeter::attach(&database.client);
    let config = StoreConfig {
        tasks_table: "tasks".to_owned(),
        projects_table: "projects".to_owned(),
        checkpoints_table: None,
        index_shards: 3,
    };
    let store = DynamoDbTaskStore::new(client, &config);
    let task = |number: i64| {
        let mut task = new_task(&format!("task-{number:05}"));
        task.run = moment(number);
        task.project_id = Some("p".parse().unwrap());
        task
    };
    let of_project = TaskQuery {
        project_id: Some("p".parse().unwrap()),
        ..TaskQuery::default()
    };
    let of_status = TaskQuery {
        statuses: vec![TaskStatus::Pending],
        ..TaskQuery::default()
    };
    let from = |from| TaskQuery {
        begun: TimeRange {
            from: Some(moment(from)),
            to: None,
        },
        ..TaskQuery::default()
    };
    let mut stored = 0;
    for number in [1000, 10_000] {
        database.fill((stored..number).map(task)).unwrap();
        stored = number;
        for query in [
            TaskQuery::default(),
            of_project.clone(),
            of_status.clone(),
            from(number / 2),
        ] {
            let page = store.list(&query, None, 50).await.unwrap();
            assert_eq!(page.tasks.len(), 50);
            let read = meter.take();
            assert!(read.queries <= 6 && read.items <= 90, "{query:?}: {read:?}");
            assert!(read.units > 0.0 && read.units <= 8.0, "{query:?}: {read:?}");
        }
    }
}
