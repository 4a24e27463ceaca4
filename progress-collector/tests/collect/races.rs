//! Sweeps, pushes and several collectors, in any order and concurrently.

use progress_collector::{Collector, Parts, Push, Sweep};
use proptest::prelude::*;
use shared::log_event::LogEvent;
use shared::model::{Metrics, Project, ProjectStatus, Task, TaskStatus, Timestamp};
use testkit::embedded_dynamodb::EmbeddedDynamoDb;

use crate::harness::{self, CDK, Harness, RUNNING, START_MS, completed, events, now, rolled_back};

/// The number of cases of each property, unless `PROPTEST_CASES` sets another.
const CASES: u32 = 1_000;
/// Divides the number of cases, because each case starts an embedded DynamoDB.
const CASES_DIVISOR: u32 = 40;

pub(crate) fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: cases.unwrap_or(CASES),
        ..ProptestConfig::default()
    }
}

/// Runs a future to its end, with paused time.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.unwrap().block_on(future)
}

/// A step of a schedule.
#[derive(Debug, Clone)]
enum Step {
    /// A subscription pushes events `from..to` of a stream.
    Push {
        stream: usize,
        from: usize,
        to: usize,
    },
    /// A sweep starts this many milliseconds after the first log event.
    Sweep { at_ms: i64 },
    /// Two collectors sweep concurrently.
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

/// Creates two projects of the streams: one matches their stacks, the other a stream's name.
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

/// All tasks, without the fields that depend on how often they were written. Also whether the
/// projects' metrics equal the counts of these tasks.
async fn end_state(parts: &Parts) -> (Vec<Task>, bool) {
    let mut tasks = parts
        .tasks
        .list(&Default::default(), None, 200)
        .await
        .unwrap()
        .tasks;
    tasks.sort_by_key(|task| (task.task_id.clone(), task.run));
    for task in &mut tasks {
        task.revision = Default::default();
        task.run = Default::default(); // the time of the line that came first
        task.usual_duration_ms = None; // depends on which runs had ended when this one started
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
    let collector = Collector::new(parts.clone(), harness::config());
    for step in steps {
        match step {
            Step::Push { stream, from, to } => {
                let events = &streams[*stream];
                let events = events[(*from).min(events.len())..(*to).min(events.len())].to_vec();
                let push = Push::new(CDK, events);
                collector.handle(&push, now(), None).await.unwrap();
            }
            Step::Sweep { at_ms } => {
                let at = Timestamp::from_millis(START_MS + at_ms);
                collector.handle(&Sweep, at, None).await.unwrap();
            }
            Step::Race => {
                let other = Collector::new(parts.clone(), harness::config());
                let (one, two) = tokio::join!(
                    collector.handle(&Sweep, now(), None),
                    other.handle(&Sweep, now(), None)
                );
                assert!(one.is_ok() && two.is_ok());
            }
        }
    }
    collector.handle(&Sweep, now(), None).await.unwrap();
}

proptest! {
    #![proptest_config(config())]

    /// Any pushes, sweeps, races and page sizes end in the state of one sweep.
    #[test]
    fn every_schedule_ends_in_the_same_state(
        steps in proptest::collection::vec(step(), 0..8),
        page_size in 1..30usize,
    ) {
        let (busy, calm) = (Harness::new(page_size), Harness::new(1_000));
        for harness in [&busy, &calm] {
            for events in streams() {
                harness.logs.put(CDK, events);
            }
        }
        block_on(async {
            run(&busy.parts(), &steps).await;
            run(&calm.parts(), &[]).await;
            let (end, metrics_are_exact) = end_state(&busy.parts()).await;
            prop_assert_eq!(end, end_state(&calm.parts()).await.0);
            prop_assert!(metrics_are_exact);
            let revision_of = |harness: &Harness| {
                let store = harness.store.clone();
                async move {
                    use shared::store::TaskStore;
                    TaskStore::fetch(&*store, &"cdk:deploy-8".parse().unwrap()).await.unwrap().unwrap().revision
                }
            };
            let before = revision_of(&busy).await;
            busy.sweep().await;
            prop_assert_eq!(revision_of(&busy).await, before, "a sweep that read nothing new wrote a task");
            Ok(())
        })?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: (config().cases / CASES_DIVISOR).max(1), ..config() })]

    /// The same property on the embedded DynamoDB.
    #[test]
    fn every_schedule_ends_in_the_same_state_on_dynamodb(
        steps in proptest::collection::vec(step(), 0..8),
    ) {
        let (busy, calm) = (Harness::new(7), Harness::new(1_000));
        for harness in [&busy, &calm] {
            for events in streams() {
                harness.logs.put(CDK, events);
            }
        }
        let expected = block_on(async {
            run(&calm.parts(), &[]).await;
            end_state(&calm.parts()).await
        });
        // Requests over loopback take real time, so this clock is not paused.
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
