//! A random walk of callers, logs and expiries over a few tasks.

use shared::model::{ProjectId, RecordId, Task, TaskId, TaskStatus, Timestamp};
use shared::record::{CallerFields, delete_earlier};
use shared::store::ProjectStore;

use super::{
    create, delete, edit, in_project, lines, moment, new_project, record_of, recount, save_lines,
    to_status,
};
use crate::embedded_dynamodb::Stores;

const IDS: u64 = 50;
const PROJECTS: [&str; 3] = ["p", "q", "r"];
/// After this many operations, the metrics are compared with a recount.
const BETWEEN_RECOUNTS: u64 = 100;

/// A small generator of numbers that a seed determines.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        // xorshift64 (Marsaglia, 2003)
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let bound = u64::try_from(items.len()).unwrap();
        (bound > 0).then(|| &items[usize::try_from(self.below(bound)).unwrap()])
    }

    fn project(&mut self) -> Option<&'static str> {
        PROJECTS
            .get(usize::try_from(self.below(4)).unwrap())
            .copied()
    }
}

/// The metrics equal a recount after any sequence of creation, change, deletion, re-creation, run
/// and expiry, of `operations` operations. `expire` removes a head, as DynamoDB does when its time to
/// live is over.
pub async fn metrics_equal_a_recount(
    stores: Stores,
    operations: u64,
    expire: impl AsyncFn(&RecordId),
) {
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
    for id in PROJECTS {
        stores.projects.create(&new_project(id)).await.unwrap();
    }
    for number in 1..=operations {
        let id = format!("task-{}", numbers.below(IDS));
        let now = moment(i64::try_from(number).unwrap() * 10_000);
        step(&stores, &mut numbers, &id, now, &expire).await;
        if number % BETWEEN_RECOUNTS == 0 {
            check(&stores, number).await;
        }
    }
}

async fn step(
    stores: &Stores,
    numbers: &mut Numbers,
    id: &str,
    now: Timestamp,
    expire: &impl AsyncFn(&RecordId),
) {
    let tasks = &*stores.tasks;
    let task_id: TaskId = id.parse().unwrap();
    let newest = record_of(tasks, &task_id).await.live().cloned();
    match (numbers.below(10), newest) {
        (0..2, Some(task)) if !task.status.is_terminal() => {
            let statuses = TaskStatus::ALL.iter().copied();
            let statuses = statuses.filter(|status| task.status.may_become(*status));
            let statuses: Vec<_> = statuses.collect();
            if let Some(status) = numbers.pick(&statuses) {
                edit(tasks, &task, to_status(*status), now).await;
            }
        }
        (0..2, _) => drop(create(tasks, id, numbers.project(), now).await),
        (2, Some(task)) => {
            let record = record_of(tasks, &task_id).await;
            let fields = CallerFields {
                project_id: numbers.project().map(|id| id.parse().unwrap()),
                ..in_project(None)
            };
            let change = record.edit(Default::default(), &fields, now);
            tasks.save(&change).await.unwrap();
            drop(task);
        }
        (3, Some(task)) => delete(tasks, &task, now).await,
        (4, _) => {
            let runs = tasks.runs(&task_id, None, 200).await.unwrap();
            let earlier: Vec<Task> = runs.into_iter().filter(|run| run.is_earlier).collect();
            if let Some(run) = numbers.pick(&earlier) {
                tasks.save(&delete_earlier(run)).await.unwrap();
            }
        }
        (5, _) => {
            let record = record_of(tasks, &task_id).await;
            let mut runs = tasks.runs(&task_id, None, 200).await.unwrap();
            // A run that can still change was written a short time ago.
            let can_change =
                |run: &Task| record.earlier.iter().any(|head| head.task.run == run.run);
            runs.retain(|run| !can_change(run));
            if let Some(run) = numbers.pick(&runs) {
                expire(&run.record_id()).await;
                for _ in 0..=numbers.below(2) {
                    tasks.subtract_expired(run).await.unwrap();
                }
            }
        }
        _ => {
            let end = r#"{"status":"failed","message":"broken"}"#;
            let log = [
                (now, "[1/3] a"),
                (now.after(std::time::Duration::from_secs(1)), "[2/3] b"),
                (now.after(std::time::Duration::from_secs(2)), end),
                (now.after(std::time::Duration::from_secs(3)), "[1/3] a"),
            ];
            let read = 1 + usize::try_from(numbers.below(4)).unwrap();
            save_lines(tasks, id, lines(&log[..read]), now).await;
        }
    }
}

async fn check(stores: &Stores, number: u64) {
    let mut runs = Vec::new();
    for id in 0..IDS {
        let task_id = format!("task-{id}").parse().unwrap();
        runs.extend(stores.tasks.runs(&task_id, None, usize::MAX).await.unwrap());
    }
    let runs: Vec<&Task> = runs.iter().collect();
    let projects: &dyn ProjectStore = &*stores.projects;
    for id in PROJECTS {
        let id: ProjectId = id.parse().unwrap();
        let project = projects.fetch(&id).await.unwrap().unwrap();
        assert_eq!(
            project.metrics,
            recount(&runs, Some(&id)),
            "{id} after {number}"
        );
    }
    let totals = projects.totals().await.unwrap();
    assert_eq!(totals, recount(&runs, None), "after {number}");
}
