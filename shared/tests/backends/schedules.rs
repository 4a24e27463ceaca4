//! Every schedule of saves, current and stale, leaves the same tasks, lists, history and metrics in
//! memory as in DynamoDB. The metrics match the tasks.

use std::sync::Arc;

use proptest::prelude::*;
use shared::model::{ProjectId, Task, TaskStatus};
use shared::store::{StoreError, TaskQuery};
use testkit::checkpoint::InMemoryCheckpointStore;
use testkit::embedded_dynamodb::EmbeddedDynamoDb;
use testkit::embedded_dynamodb::Stores;
use testkit::store::conformance::{
    moment, new_project, new_task, next_of, recount, save as save_in,
};
use testkit::store::memory::InMemoryStore;

const TASKS: usize = 3;
const PROJECTS: [&str; 2] = ["p", "q"];

/// A save of one of a few tasks.
#[derive(Debug, Clone)]
struct Save {
    task: usize,
    status: TaskStatus,
    project: Option<usize>,
    duration_ms: Option<u64>,
    current: Option<u64>,
    at_ms: i64,
    /// Whether the save builds on the state before the last one.
    is_stale: bool,
}

fn any_save() -> impl Strategy<Value = Save> {
    let parts = (
        0..TASKS,
        prop::sample::select(TaskStatus::ALL),
        prop::option::of(0..PROJECTS.len()),
        prop::option::of(0..5000_u64),
        prop::option::of(0..3_u64),
        0..4_i64,
        prop::bool::weighted(0.2),
    );
    parts.prop_map(
        |(task, status, project, duration_ms, current, at_ms, is_stale)| Save {
            task,
            status,
            project,
            duration_ms,
            current,
            at_ms,
            is_stale,
        },
    )
}

fn project_id(number: usize) -> ProjectId {
    PROJECTS[number].parse().unwrap()
}

fn applied(save: &Save, task: &mut Task) {
    task.status = save.status;
    task.project_id = save.project.map(project_id);
    task.duration_ms = save.duration_ms;
    task.progress.current = save.current;
    task.updated_at = moment(save.at_ms);
}

/// Runs `schedule`. Returns which saves succeeded and the last state of each task.
async fn run(schedule: &[Save], stores: &Stores) -> (Vec<bool>, Vec<Option<Task>>) {
    stores
        .projects
        .create(&new_project(PROJECTS[0]))
        .await
        .unwrap();
    let mut states: Vec<Vec<Task>> = vec![Vec::new(); TASKS];
    let mut outcomes = Vec::new();
    for save in schedule {
        let known = &mut states[save.task];
        let back = if save.is_stale { 2 } else { 1 };
        let previous = known
            .len()
            .checked_sub(back)
            .map(|index| known[index].clone());
        let next = match &previous {
            Some(previous) => next_of(previous, |task| applied(save, task)),
            None => {
                let mut task = new_task(&format!("task-{}", save.task));
                applied(save, &mut task);
                task
            }
        };
        let outcome = save_in(&*stores.tasks, previous.as_ref(), &next).await;
        match &outcome {
            Ok(()) => known.push(next),
            Err(StoreError::Conflict(_)) => {}
            Err(error) => panic!("{error}: {save:?}"),
        }
        outcomes.push(outcome.is_ok());
    }
    stores
        .projects
        .create(&new_project(PROJECTS[1]))
        .await
        .unwrap();
    let last = states.into_iter().map(|mut states| states.pop()).collect();
    (outcomes, last)
}

async fn check(schedule: &[Save]) {
    let memory = Arc::new(InMemoryStore::new());
    let memory = Stores {
        tasks: memory.clone(),
        projects: memory,
        checkpoints: Arc::new(InMemoryCheckpointStore::new()),
    };
    let embedded = EmbeddedDynamoDb::start().await.unwrap();
    let dynamodb = embedded.stores();
    let (outcomes, states) = run(schedule, &memory).await;
    assert_eq!(run(schedule, &dynamodb).await, (outcomes, states.clone()));
    let states: Vec<&Task> = states.iter().flatten().collect();
    for stores in [&memory, &dynamodb] {
        for project in stores.projects.list().await.unwrap() {
            assert_eq!(project.metrics, recount(&states, Some(&project.project_id)));
        }
        let totals = stores.projects.totals().await.unwrap();
        assert_eq!(totals, recount(&states, None));
        for task in &states {
            let stored = stores.tasks.fetch(&task.record_id()).await.unwrap();
            assert_eq!(stored.as_ref(), Some(*task));
        }
    }
    let everything = TaskQuery::default();
    let listed = memory.tasks.list(&everything, None, 200).await.unwrap();
    assert_eq!(
        dynamodb.tasks.list(&everything, None, 200).await.unwrap(),
        listed
    );
    for task in states {
        let history = memory.tasks.history(&task.run_id(), None, None, 1000).await;
        let same = dynamodb
            .tasks
            .history(&task.run_id(), None, None, 1000)
            .await;
        assert_eq!(same.unwrap(), history.unwrap());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn any_schedule_leaves_the_same_state_in_memory_and_in_dynamodb(
        schedule in prop::collection::vec(any_save(), 1..24),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(check(&schedule));
    }
}
