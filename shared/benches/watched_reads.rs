//! Counts how often DynamoDB is read for viewers who poll each second: `cargo bench -p shared --bench
//! watched_reads`. Time is simulated, so `--profile dev` gives the same numbers.
//!
//! A read of a task is one strongly consistent query, which costs one read unit for each started 4 KB
//! (<https://aws.amazon.com/dynamodb/pricing/on-demand/>).

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "a bench prints, and fails by panicking"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use shared::cache::TaskCache;
use shared::model::{RecordId, RunId, Task, TaskStatus, Timestamp};
use shared::store::{TaskQuery, TaskStore};
use shared::task_reader::{ConditionalRead, ListRequest, TaskReader, WriteThrough};
use shared::validator::Validator;
use shared::view::Renderer;
use testkit::cache::memory::InMemoryTaskCache;
use testkit::faults::{Faults, Faulty, Moment, Role};
use testkit::store::conformance::{change_of, moment, new_task, next_of};
use testkit::store::memory::InMemoryStore;
use tokio::time::{Instant, advance};

const HOUR_SECONDS: i64 = 3_600;
const WRITES_PER_SECOND: u32 = 200;
/// The tasks that are written to in turn.
const TASKS: usize = 1_000;

struct System {
    store: Arc<InMemoryStore>,
    reader: TaskReader,
    write_through: WriteThrough,
    reads: Arc<AtomicU64>,
}

impl System {
    fn new() -> Self {
        let store = Arc::new(InMemoryStore::new());
        let (faults, reads) = (Faults::none(), Arc::new(AtomicU64::new(0)));
        let counted = Arc::clone(&reads);
        faults.observe(move |call, moment| {
            if call.role == Role::TaskStore && moment == Moment::Begun {
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        let observed = Arc::new(Faulty::new(Arc::clone(&store), faults));
        let cache: Option<Arc<dyn TaskCache>> = Some(Arc::new(InMemoryTaskCache::new()));
        let renderer = Renderer::new(Duration::from_secs(900));
        Self {
            reader: TaskReader::new(observed.clone(), observed, cache.clone(), renderer),
            write_through: WriteThrough::new(cache, renderer),
            store,
            reads,
        }
    }

    async fn save(&self, previous: Option<&Task>, next: &Task, now: Timestamp) {
        let (change, begun) = (change_of(previous, next), Instant::now());
        self.store.save(&change).await.unwrap();
        self.write_through.saved(&[&change], begun, now).await;
    }

    fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }
}

/// What a viewer keeps of an answer.
fn validator_of(read: ConditionalRead) -> Validator {
    match read {
        ConditionalRead::Current(representation) => representation.validator,
        ConditionalRead::NotModified(validator) => validator,
    }
}

/// The reads of an hour for viewers of a task that nobody writes.
async fn of_quiet_task(status: TaskStatus, viewers: usize) -> u64 {
    let system = System::new();
    let task = Task {
        status,
        ..new_task("quiet")
    };
    system.save(None, &task, moment(0)).await;
    let id: RecordId = task.record_id();
    let mut known: Vec<Vec<Validator>> = vec![Vec::new(); viewers];
    for second in 0..HOUR_SECONDS {
        let now = moment(second * 1000);
        for known in &mut known {
            let read = system.reader.fetch_task(&id, known, now).await;
            *known = vec![validator_of(read.unwrap().unwrap())];
        }
        advance(Duration::from_secs(1)).await;
    }
    system.reads()
}

/// The reads of a minute for viewers of the first page, while tasks are written.
async fn of_busy_page(viewers: usize) -> u64 {
    let system = System::new();
    let mut tasks: Vec<Task> = (0..TASKS).map(|n| new_task(&format!("t{n}"))).collect();
    for task in &tasks {
        system.save(None, task, moment(0)).await;
    }
    let request = ListRequest {
        query: TaskQuery::default(),
        after: None,
        limit: 50,
    };
    let mut known: Vec<Vec<Validator>> = vec![Vec::new(); viewers];
    let mut turn = (0..TASKS).cycle();
    for _ in 0..60 {
        // The viewers are spread over the second, and so are the writes.
        for part in 0..WRITES_PER_SECOND {
            let task = &mut tasks[turn.next().unwrap()];
            let next = next_of(task, |task| task.message = Some(format!("part {part}")));
            system.save(Some(task), &next, moment(0)).await;
            *task = next;
            let polling = known.iter_mut().enumerate();
            let due = polling.filter(|(viewer, _)| {
                let offset = viewer * WRITES_PER_SECOND as usize / viewers;
                offset == part as usize
            });
            for (_, known) in due {
                let cursor = |last: &RunId| last.to_string();
                let read = system
                    .reader
                    .list_tasks(&request, cursor, known, moment(0))
                    .await;
                *known = vec![validator_of(read.unwrap())];
            }
            advance(Duration::from_secs(1) / WRITES_PER_SECOND).await;
        }
    }
    system.reads()
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() {
    println!(
        "| viewers | a quiet running task, reads an hour | an ended task, reads an hour | a page under {WRITES_PER_SECOND} writes a second, reads a minute |"
    );
    println!("| ---: | ---: | ---: | ---: |");
    for viewers in [1, 10, 100] {
        let running = of_quiet_task(TaskStatus::Running, viewers).await;
        let ended = of_quiet_task(TaskStatus::Completed, viewers).await;
        let page = of_busy_page(viewers).await;
        println!("| {viewers} | {running} | {ended} | {page} |");
    }
}
