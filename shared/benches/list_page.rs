//! Measures the time for a page of the task list, by the number of stored tasks.
//!
//! `cargo bench -p shared --bench list_page -- 100 10000 100000 1000000`: the numbers are of stored
//! tasks, in rising order.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "a bench prints, and fails by panicking"
)]

use std::time::{Duration, Instant};

use shared::model::{RunId, Task, TaskStatus};
use shared::store::dynamodb::DynamoDbTaskStore;
use shared::store::{TaskQuery, TaskStore};
use testkit::embedded_dynamodb::EmbeddedDynamoDb;
use testkit::store::conformance::{moment, new_task};

const LIMIT: usize = 100;
const ROUNDS: usize = 25;
/// The number of tasks that are put in one step. Their items are all in memory at that time.
const BATCH: usize = 10_000;

fn task(number: usize) -> Task {
    let mut task = new_task(&format!("task-{number}"));
    task.status = TaskStatus::ALL[number % TaskStatus::ALL.len()];
    task.run = moment(i64::try_from(number).unwrap());
    task
}

/// The median time for a page, and the number of its tasks.
async fn measure(
    store: &DynamoDbTaskStore,
    query: &TaskQuery,
    after: Option<&RunId>,
) -> (Duration, usize) {
    let mut times = Vec::new();
    let mut tasks = 0;
    for _ in 0..ROUNDS {
        let started = Instant::now();
        let page = store.list(query, after, LIMIT).await.unwrap();
        times.push(started.elapsed());
        tasks = page.tasks.len();
    }
    times.sort_unstable();
    (times[ROUNDS / 2], tasks)
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let numbers = std::env::args().skip(1).filter_map(|arg| arg.parse().ok());
    let mut numbers: Vec<usize> = numbers.collect();
    if numbers.is_empty() {
        numbers = vec![100, 10_000, 100_000, 1_000_000];
    }
    let dynamodb = EmbeddedDynamoDb::start().await.unwrap();
    let store = dynamodb.tasks();
    let all = TaskQuery::default();
    let running = TaskQuery {
        statuses: vec![TaskStatus::Running],
        ..TaskQuery::default()
    };
    let rare = TaskQuery {
        text: Some("no task has this name".to_owned()),
        ..TaskQuery::default()
    };
    println!("a page of {LIMIT}, median of {ROUNDS}, in ms");
    println!(
        "{:>9} {:>8} {:>8} {:>8} {:>8}",
        "stored", "newest", "deep", "running", "none"
    );
    let mut stored = 0;
    for number in numbers {
        while stored < number {
            let end = number.min(stored + BATCH);
            dynamodb.fill((stored..end).map(task)).unwrap();
            stored = end;
        }
        let middle = task(stored / 2 + LIMIT).run_id();
        let (newest, tasks) = measure(&store, &all, None).await;
        assert_eq!(tasks, LIMIT.min(stored));
        let (deep, _) = measure(&store, &all, Some(&middle)).await;
        let (running, _) = measure(&store, &running, None).await;
        let (none, tasks) = measure(&store, &rare, None).await;
        assert_eq!(tasks, 0);
        let shown = [newest, deep, running, none].map(|time| time.as_secs_f64() * 1000.0);
        println!(
            "{stored:>9} {:>8.1} {:>8.1} {:>8.1} {:>8.1}",
            shown[0], shown[1], shown[2], shown[3]
        );
    }
}
