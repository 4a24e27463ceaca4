//! A collector that is killed between any two steps: the next run repairs everything.

use std::sync::Arc;
use std::time::Duration;

use progress_collector::{Collector, Parts, Sweep};
use proptest::prelude::*;
use shared::log_event::LogEvent;
use shared::model::Timestamp;
use testkit::faults::{Call, Disturbance, Faults, Faulty, Moment, Role};
use tokio::time::{Instant, timeout};

use crate::harness::{self, AGENTS, CDK, Harness, completed, events, now, rolled_back};
use crate::races::{block_on, config};

/// Kills the process after `steps` steps, each of which takes `takes`. A read is one step. A write is two:
/// the process may die before it and after it.
pub(crate) fn dies_after(mut steps: usize, takes: Duration) -> Faults {
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

fn filled(page_size: usize) -> Harness {
    let harness = Harness::new(page_size);
    harness.logs.put(CDK, events("deploy-7", &completed()));
    harness.logs.put(CDK, events("deploy-8", &rolled_back()));
    let reports = [
        r#"{"task_id":"review-7","status":"started","progress":{"current":1,"total":4}}"#,
        "[3/10] cloning",
        r#"{"task_id":"review-7","status":"completed","progress":{"current":4,"total":4}}"#,
    ];
    harness.logs.put(AGENTS, events("agent-1", &reports));
    harness
}

/// A collector whose parts share `faults`.
pub(crate) fn faulty(harness: &Harness, faults: &Faults) -> Collector {
    let parts = harness.parts();
    let faulty = Parts {
        tasks: Arc::new(Faulty::new(parts.tasks, faults.clone())),
        checkpoints: Arc::new(Faulty::new(parts.checkpoints, faults.clone())),
        logs: Arc::new(Faulty::new(parts.logs, faults.clone())),
        objects: Arc::new(Faulty::new(parts.objects, faults.clone())),
        projects: parts.projects,
        cache: parts.cache,
    };
    Collector::new(faulty, harness::config())
}

/// Sweeps until the collector has died after `steps` steps, time is over, or the sweep is done.
async fn sweep_and_die(harness: &Harness, steps: usize, takes: Duration) {
    let collector = faulty(harness, &dies_after(steps, takes));
    let deadline = Instant::now() + Duration::from_secs(20);
    let sweep = collector.handle(&Sweep, now(), Some(deadline));
    // A dead collector never ends: the timeout drops it.
    let died = timeout(Duration::from_secs(600), sweep).await;
    drop(died);
}

/// The run is long enough to save resume points, both on the way and at its deadline.
#[tokio::test(start_paused = true)]
async fn a_long_run_killed_at_any_step_is_repaired() {
    for (page_size, takes_ms) in [(1, 800), (1, 1_300), (2, 1_700), (3, 2_500)] {
        let undisturbed = filled(page_size);
        undisturbed.sweep().await;
        let expected = undisturbed.tasks().await;
        for steps in 0..70 {
            let harness = filled(page_size);
            sweep_and_die(&harness, steps, Duration::from_millis(takes_ms)).await;
            harness.sweep().await;
            assert_eq!(
                harness.tasks().await,
                expected,
                "{page_size} {takes_ms} {steps}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_that_one_run_can_not_save_is_saved_by_several_runs() {
    let line =
        |task: usize| format!(r#"{{"task_id":"t{task:04}","progress":{{"current":1,"total":4}}}}"#);
    let lines: Vec<String> = (0..4_000).map(line).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let harness = Harness::new(10_000);
    let events = events("agent", &lines).into_iter().enumerate();
    let at_once = events.map(|(index, event)| LogEvent {
        // Lines of one stream can name a thousand tasks.
        log_stream: format!("agent-{}", index / 1_000),
        timestamp: Timestamp::from_millis(harness::START_MS),
        ..event
    });
    harness.logs.put(AGENTS, at_once);
    let mut runs = Vec::new();
    for _ in 0..4 {
        let deadline = Instant::now() + Duration::from_secs(10);
        let slow = faulty(&harness, &dies_after(usize::MAX, Duration::from_millis(10)));
        let summary = slow.handle(&Sweep, now(), Some(deadline)).await;
        assert!(Instant::now() < deadline, "it ran late");
        runs.push(summary.unwrap().groups[1].complete);
        if runs.ends_with(&[true]) {
            break;
        }
    }
    assert!(runs.len() > 1 && runs.ends_with(&[true]), "{runs:?}");
    assert!(harness.task("t0000").await.is_some() && harness.task("t3999").await.is_some());
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_next_run_repairs_every_kill(
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
