//! Sweeps, pushes and other collectors at once, in any order.

use progress_collector::{Collector, Parts, PushedEvents, Trigger};
use proptest::prelude::*;
use shared::log_event::LogEvent;
use shared::model::{Metrics, Project, ProjectStatus, Task, TaskStatus, Timestamp};
use testkit::embedded_dynamodb::EmbeddedDynamoDb;

use crate::world::{self, CDK, RUNNING, START_MS, World, completed, events, now, rolled_back};

/// The cases of each property, unless `PROPTEST_CASES` says otherwise.
const CASES: u32 = 1_000;
/// Of so many cases one is run on the embedded DynamoDB.
const CASES_A_SAMPLE: u32 = 40;

pub(crate) fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: cases.unwrap_or(CASES),
        ..ProptestConfig::default()
    }
}

/// Runs a future to its end, with time that passes at once.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.unwrap().block_on(future)
}

/// What a schedule consists of.
#[derive(Debug, Clone)]
enum Step {
    /// A subscription pushes events `from..to` of a stream.
    Push {
        stream: usize,
        from: usize,
        to: usize,
    },
    /// A sweep starts this many milliseconds after the logs began.
    Sweep { at_ms: i64 },
    /// Two collectors sweep at once.
    Race,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3usize, 0..24usize, 0..24usize)
            .prop_map(|(stream, from, to)| Step::Push { stream, from: from.min(to), to: from.max(to) }),
        2 => (0..20_000i64).prop_map(|at_ms| Step::Sweep { at_ms }),
        1 => Just(Step::Race),
    ]
}

fn streams() -> [Vec<LogEvent>; 3] {
    let twice = [rolled_back(), completed()].concat();
    [
        events("deploy-7", &completed()),
        events("deploy-8", &twice),
        events(
            "deploy-9",
            &[RUNNING.as_slice(), rolled_back().as_slice()].concat(),
        ),
    ]
}

/// Projects that the streams belong to: one by its stacks, one by the stream's name.
async fn make_projects(parts: &Parts) {
    for (project_id, prefix) in [("api", "Api"), ("nine", "deploy-9")] {
        let project = Project {
            project_id: project_id.parse().unwrap(),
            project_name: project_id.to_owned(),
            description: None,
            status: ProjectStatus::Active,
            owner: None,
            match_prefixes: vec![prefix.to_owned()],
            revision: Default::default(),
            metrics: Metrics::default(),
            created_at: now(),
            updated_at: now(),
        };
        parts.projects.create(&project).await.unwrap();
    }
}

/// All tasks, without what depends on how often they were written; and whether the metrics of their projects
/// are what counting them gives.
async fn end_state(parts: &Parts) -> (Vec<Task>, bool) {
    let mut tasks = parts
        .tasks
        .list(&Default::default(), None, 200)
        .await
        .unwrap()
        .tasks;
    for task in &mut tasks {
        task.revision = Default::default();
        task.usual_duration_ms = None; // it depends on which runs were over when this one began
    }
    let projects = parts.projects.list().await.unwrap();
    let is_exact = |project: &Project| {
        let of_project = |task: &&Task| task.project_id.as_ref() == Some(&project.project_id);
        let members: Vec<_> = tasks.iter().filter(of_project).collect();
        let count = |status| {
            let count = members.iter().filter(|task| task.status == status).count();
            i64::try_from(count).unwrap()
        };
        let completed = members
            .iter()
            .filter(|task| task.status == TaskStatus::Completed);
        let durations = completed.filter_map(|task| task.duration_ms).sum::<u64>();
        !members.is_empty()
            && project.metrics == Metrics::from_counts(count, i64::try_from(durations).unwrap())
    };
    let are_exact = projects.len() == 2 && projects.iter().all(is_exact);
    (tasks, are_exact)
}

async fn run(parts: &Parts, steps: &[Step]) {
    make_projects(parts).await;
    let streams = streams();
    let collector = Collector::new(parts.clone(), world::config());
    for step in steps {
        match step {
            Step::Push { stream, from, to } => {
                let events = &streams[*stream];
                let events = events[(*from).min(events.len())..(*to).min(events.len())].to_vec();
                let pushed = PushedEvents {
                    log_group: CDK.to_owned(),
                    events,
                };
                collector
                    .handle(Trigger::Push(pushed), now(), None)
                    .await
                    .unwrap();
            }
            Step::Sweep { at_ms } => {
                let at = Timestamp::from_millis(START_MS + at_ms);
                collector.handle(Trigger::Sweep, at, None).await.unwrap();
            }
            Step::Race => {
                let other = Collector::new(parts.clone(), world::config());
                let (one, two) = tokio::join!(
                    collector.handle(Trigger::Sweep, now(), None),
                    other.handle(Trigger::Sweep, now(), None)
                );
                assert!(one.is_ok() && two.is_ok());
            }
        }
    }
    collector.handle(Trigger::Sweep, now(), None).await.unwrap();
}

proptest! {
    #![proptest_config(config())]

    /// Whatever is pushed, swept and raced before, and however pages are cut: the end is that of one sweep.
    #[test]
    fn every_schedule_ends_in_the_same_state(
        steps in proptest::collection::vec(step(), 0..8),
        page_size in 1..30usize,
    ) {
        let (busy, calm) = (World::new(page_size), World::new(1_000));
        for world in [&busy, &calm] {
            for events in streams() {
                world.logs.put(CDK, events);
            }
        }
        block_on(async {
            run(&busy.parts(), &steps).await;
            run(&calm.parts(), &[]).await;
            let (end, metrics_are_exact) = end_state(&busy.parts()).await;
            prop_assert_eq!(end, end_state(&calm.parts()).await.0);
            prop_assert!(metrics_are_exact);
            let revision_of = |world: &World| {
                let store = world.store.clone();
                async move {
                    use shared::store::TaskStore;
                    store.fetch(&"cdk:deploy-8".parse().unwrap()).await.unwrap().unwrap().revision
                }
            };
            let before = revision_of(&busy).await;
            busy.sweep().await;
            prop_assert_eq!(revision_of(&busy).await, before, "a sweep that read nothing new has written");
            Ok(())
        })?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: (config().cases / CASES_A_SAMPLE).max(1), ..config() })]

    /// The same on DynamoDB, embedded: what memory promises, the real store keeps.
    #[test]
    fn every_schedule_ends_in_the_same_state_on_dynamodb(
        steps in proptest::collection::vec(step(), 0..8),
    ) {
        let (busy, calm) = (World::new(7), World::new(1_000));
        for world in [&busy, &calm] {
            for events in streams() {
                world.logs.put(CDK, events);
            }
        }
        let expected = block_on(async {
            run(&calm.parts(), &[]).await;
            end_state(&calm.parts()).await
        });
        // Requests over loopback take time: this clock must go as clocks do.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let found = runtime.unwrap().block_on(async {
            let dynamodb = EmbeddedDynamoDb::start().await.unwrap();
            let stores = dynamodb.stores();
            let parts = Parts {
                tasks: stores.tasks,
                projects: stores.projects,
                checkpoints: stores.checkpoints,
                ..busy.parts()
            };
            run(&parts, &steps).await;
            end_state(&parts).await
        });
        prop_assert_eq!(found, expected);
    }
}
