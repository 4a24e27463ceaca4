//! Sweeps, pushes and other collectors at once, in any order.

use progress_collector::{PushedEvents, Trigger};
use proptest::prelude::*;
use shared::log_source::LogEvent;
use shared::model::Timestamp;

use crate::world::{CDK, RUNNING, START_MS, World, completed, events, now, rolled_back};

/// The cases of each property, unless `PROPTEST_CASES` says otherwise.
const CASES: u32 = 1_000;

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

async fn run(world: &World, steps: &[Step]) {
    let streams = streams();
    let collector = world.collector();
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
                let other = world.collector();
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
            run(&busy, &steps).await;
            run(&calm, &[]).await;
            prop_assert_eq!(busy.tasks().await, calm.tasks().await);
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
