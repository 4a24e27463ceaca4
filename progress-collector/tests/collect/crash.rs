//! A collector that dies between any two of its steps. After the next run the result is as if it had
//! never died.

use std::sync::Arc;
use std::time::Duration;

use progress_collector::{Collector, Parts, Trigger};
use proptest::prelude::*;
use shared::log_event::LogEvent;
use shared::model::Timestamp;
use testkit::faults::{Call, Disturbance, Faults, Faulty, Moment, Role};
use tokio::time::{Instant, timeout};

use crate::races::{block_on, config};
use crate::world::{self, AGENTS, CDK, World, completed, events, now, rolled_back};

/// Kills the process after `steps` steps, each of which takes `takes`. A read is one step. A write is two:
/// the process may die before it and after it.
fn dies_after(mut steps: usize, takes: Duration) -> Faults {
    let faults = Faults::none();
    faults.disturb(move |call| Disturbance {
        before: if is_read(call) || is_write(call) {
            takes
        } else {
            Duration::ZERO
        },
        after: if is_write(call) {
            takes
        } else {
            Duration::ZERO
        },
        fault: None,
    });
    let killed = faults.clone();
    faults.observe(move |call, moment| {
        let is_step = match moment {
            Moment::Begun => is_read(call) || is_write(call),
            Moment::Made => false,
            Moment::Answered => is_write(call),
        };
        if is_step {
            match steps.checked_sub(1) {
                Some(left) => steps = left,
                None => killed.kill(),
            }
        }
    });
    faults
}

fn is_read(call: &Call<'_>) -> bool {
    matches!(
        (call.role, call.operation),
        (Role::TaskStore, "fetch_records") | (Role::CheckpointStore, "load") | (Role::LogSource, _)
    )
}

fn is_write(call: &Call<'_>) -> bool {
    matches!(
        (call.role, call.operation),
        (Role::TaskStore, "save" | "save_deleted") | (Role::CheckpointStore, "save")
    )
}

fn filled(page_size: usize) -> World {
    let world = World::new(page_size);
    world.logs.put(CDK, events("deploy-7", &completed()));
    world.logs.put(CDK, events("deploy-8", &rolled_back()));
    let said = [
        r#"{"task_id":"review-7","status":"started","progress":{"current":1,"total":4}}"#,
        "[3/10] cloning",
        r#"{"task_id":"review-7","status":"completed","progress":{"current":4,"total":4}}"#,
    ];
    world.logs.put(AGENTS, events("agent-1", &said));
    world
}

/// A collector whose parts share `faults`.
fn faulty(world: &World, faults: &Faults) -> Collector {
    let parts = world.parts();
    let faulty = Parts {
        tasks: Arc::new(Faulty::new(parts.tasks, faults.clone())),
        checkpoints: Arc::new(Faulty::new(parts.checkpoints, faults.clone())),
        logs: Arc::new(Faulty::new(parts.logs, faults.clone())),
        projects: parts.projects,
        cache: parts.cache,
    };
    Collector::new(faulty, world::config())
}

/// Sweeps until the collector has died after `steps` steps, time is over, or the sweep is done.
async fn sweep_and_die(world: &World, steps: usize, takes: Duration) {
    let collector = faulty(world, &dies_after(steps, takes));
    let deadline = Instant::now() + Duration::from_secs(20);
    let sweep = collector.handle(Trigger::Sweep, now(), Some(deadline));
    // A dead collector never ends: the timeout drops it.
    let died = timeout(Duration::from_secs(600), sweep).await;
    drop(died);
}

/// The steps take long enough that the run saves while it reads, and again when its time is over.
#[tokio::test(start_paused = true)]
async fn a_long_run_may_die_at_every_step() {
    for (page_size, takes_ms) in [(1, 800), (1, 1_300), (2, 1_700), (3, 2_500)] {
        let undisturbed = filled(page_size);
        undisturbed.sweep().await;
        let expected = undisturbed.tasks().await;
        for steps in 0..70 {
            let world = filled(page_size);
            sweep_and_die(&world, steps, Duration::from_millis(takes_ms)).await;
            world.sweep().await;
            assert_eq!(
                world.tasks().await,
                expected,
                "{page_size} {takes_ms} {steps}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_that_takes_longer_to_save_than_there_is_time_is_saved_bit_by_bit() {
    let line =
        |task: usize| format!(r#"{{"task_id":"t{task:04}","progress":{{"current":1,"total":4}}}}"#);
    let lines: Vec<String> = (0..4_000).map(line).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let world = World::new(10_000);
    let at_once = events("agent-1", &lines).into_iter().map(|event| LogEvent {
        timestamp: Timestamp::from_millis(world::START_MS),
        ..event
    });
    world.logs.put(AGENTS, at_once);
    let mut runs = Vec::new();
    for _ in 0..4 {
        let deadline = Instant::now() + Duration::from_secs(10);
        let slow = faulty(&world, &dies_after(usize::MAX, Duration::from_millis(10)));
        let summary = slow.handle(Trigger::Sweep, now(), Some(deadline)).await;
        assert!(Instant::now() < deadline, "it ran late");
        runs.push(summary.unwrap().groups[1].complete);
        if runs.ends_with(&[true]) {
            break;
        }
    }
    assert!(runs.len() > 1 && runs.ends_with(&[true]), "{runs:?}");
    assert!(world.task("t0000").await.is_some() && world.task("t3999").await.is_some());
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn after_the_next_run_it_is_as_if_it_had_never_died(
        deaths in proptest::collection::vec((0..80usize, 0..800u64), 1..5),
        page_size in 1..20usize,
    ) {
        let (disturbed, undisturbed) = (filled(page_size), filled(page_size));
        block_on(async {
            for (steps, takes_ms) in deaths {
                sweep_and_die(&disturbed, steps, Duration::from_millis(takes_ms)).await;
            }
            disturbed.sweep().await;
            undisturbed.sweep().await;
            prop_assert_eq!(disturbed.tasks().await, undisturbed.tasks().await);
            Ok(())
        })?;
    }
}
