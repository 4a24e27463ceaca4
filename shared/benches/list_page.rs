//! Measures what a page of the task list costs, by the number of stored tasks.
//!
//! `cargo bench -p shared --bench list_page -- 100 10000 100000 1000000`: the numbers are of stored
//! tasks, in rising order. Items and read units do not depend on the machine, so `--profile dev`
//! gives the same numbers.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "a bench prints, and fails by panicking"
)]

use std::time::{Duration, Instant};

use shared::config::StoreConfig;
use shared::model::{RunId, Task, TaskStatus, TaskType};
use shared::store::dynamodb::DynamoDbTaskStore;
use shared::store::{TaskQuery, TaskStore};
use testkit::embedded_dynamodb::EmbeddedDynamoDb;
use testkit::read_meter::{ReadCount, ReadMeter};
use testkit::store::conformance::{moment, new_task};

const LIMIT: usize = 100;
const ROUNDS: usize = 25;
/// The number of tasks that are put in one step. Their items are all in memory at that time.
const BATCH: usize = 10_000;

fn task(number: usize) -> Task {
    let mut task = new_task(&format!("task-{number:07}"));
    task.status = TaskStatus::ALL[number % TaskStatus::ALL.len()];
    task.task_type = TaskType::ALL[number % TaskType::ALL.len()];
    task.project_id = Some(format!("project-{}", number % 2).parse().unwrap());
    task.run = moment(i64::try_from(number).unwrap());
    task
}

/// The cost of a page.
struct Cost {
    /// The median.
    time: Duration,
    tasks: usize,
    read: ReadCount,
}

async fn measure(
    (store, meter): &(DynamoDbTaskStore, ReadMeter),
    query: &TaskQuery,
    after: Option<&RunId>,
) -> Cost {
    let mut times = Vec::new();
    let mut tasks = 0;
    meter.take();
    let mut read = ReadCount::default();
    for _ in 0..ROUNDS {
        let started = Instant::now();
        let page = store.list(query, after, LIMIT).await.unwrap();
        times.push(started.elapsed());
        tasks = page.tasks.len();
        read = meter.take();
    }
    times.sort_unstable();
    Cost {
        time: times[ROUNDS / 2],
        tasks,
        read,
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let numbers = std::env::args().skip(1).filter_map(|arg| arg.parse().ok());
    let mut numbers: Vec<usize> = numbers.collect();
    if numbers.is_empty() {
        numbers = vec![100, 10_000, 100_000, 1_000_000];
    }
    let dynamodb = EmbeddedDynamoDb::start().await.unwrap();
    let (client, meter) = ReadMeter::attach(&dynamodb.client);
    let config = StoreConfig {
        tasks_table: "tasks".to_owned(),
        projects_table: "projects".to_owned(),
        checkpoints_table: None,
        index_shards: 3,
    };
    let store = (DynamoDbTaskStore::new(client, &config), meter);
    let all = TaskQuery::default();
    let with = |change: &dyn Fn(&mut TaskQuery)| {
        let mut query = all.clone();
        change(&mut query);
        query
    };
    let of_type = with(&|query| query.task_types = vec![TaskType::Build]);
    let of_project = with(&|query| query.project_id = Some("project-1".parse().unwrap()));
    let running = with(&|query| query.statuses = vec![TaskStatus::Running]);
    let named = with(&|query| query.text = Some("TASK".to_owned()));
    let rare = with(&|query| query.text = Some("no task has this text".to_owned()));
    println!("A page of {LIMIT}; ms are the median of {ROUNDS}.\n");
    println!("| stored | page | tasks | queries | items | read units | ms |");
    println!("| ---: | --- | ---: | ---: | ---: | ---: | ---: |");
    let mut stored = 0;
    for number in numbers {
        while stored < number {
            let end = number.min(stored + BATCH);
            dynamodb.fill((stored..end).map(task)).unwrap();
            stored = end;
        }
        let middle = task(stored / 2 + LIMIT).run_id();
        for (name, query, after) in [
            ("newest", &all, None),
            ("deep", &all, Some(&middle)),
            ("of a type", &of_type, None),
            ("of a project", &of_project, None),
            ("running", &running, None),
            ("`q` of all", &named, None),
            ("`q` of none", &rare, None),
        ] {
            let Cost { time, tasks, read } = measure(&store, query, after).await;
            let ReadCount {
                queries,
                items,
                units,
            } = read;
            let ms = time.as_secs_f64() * 1000.0;
            println!(
                "| {stored} | {name} | {tasks} | {queries} | {items} | {units:.1} | {ms:.1} |"
            );
        }
    }
}
