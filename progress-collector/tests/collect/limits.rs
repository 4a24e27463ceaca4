//! The most task ids that lines of one log stream can name.

use std::io::Write;
use std::ops::Range;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use progress_collector::{Backfill, Collector, Parts, Push, Summary, Sweep, parse_trigger};
use serde_json::json;
use shared::log_event::LogEvent;
use shared::model::Timestamp;
use testkit::faults::{Fault, Faults, Faulty};

use crate::harness::{AGENTS, CDK, Harness, RUNNING, START_MS, config, events};

/// So soon after the lines that each sweep reads them again.
fn now() -> Timestamp {
    Timestamp::from_millis(START_MS + 60_000)
}

/// A line for each of these task ids.
fn naming(numbers: Range<usize>) -> Vec<LogEvent> {
    let name = |number| {
        let line = format!(r#"{{"task_id":"t-{number}","message":"of t-{number}","progress":50}}"#);
        let time = Timestamp::from_millis(START_MS + i64::try_from(number).unwrap());
        LogEvent {
            log_stream: "worker".to_owned(),
            timestamp: time,
            ingested_at: time,
            event_id: format!("{number:056}"),
            message: line,
        }
    };
    numbers.map(name).collect()
}

fn refused(summary: &Summary) -> u64 {
    summary.totals().task_ids_refused.count()
}

/// The number of tasks that lines named. Checks that all of them say what their lines said.
async fn named_tasks(harness: &Harness, numbers: Range<usize>) -> usize {
    let mut named = 0;
    for number in numbers {
        if let Some(task) = harness.task(&format!("t-{number}")).await {
            assert_eq!(task.message, Some(format!("of t-{number}")));
            named += 1;
        }
    }
    named
}

#[tokio::test]
async fn the_first_thousand_ids_are_tasks_and_later_lines_count_for_the_stream() {
    let harness = Harness::new(1_000);
    harness.logs.put(AGENTS, naming(0..1_500));
    let summary = harness.sweep_at(now()).await;
    assert_eq!(refused(&summary), 500);
    assert_eq!(summary.groups[0].task_ids_refused.count(), 0);
    let tasks = async || {
        let mut tasks = Vec::new();
        for number in 0..1_500 {
            tasks.extend(harness.task(&format!("t-{number}")).await);
        }
        tasks
    };
    assert_eq!(named_tasks(&harness, 0..1_000).await, 1_000);
    let first = tasks().await;
    assert_eq!(first.len(), 1_000);
    let of_stream = harness.task("agent:worker").await.unwrap();
    assert_eq!(of_stream.message.as_deref(), Some("of t-1499"));

    // Each of these is another process. Lines read again neither count twice nor lose their tasks.
    let summary = harness.sweep_at(now()).await;
    assert_eq!(
        (refused(&summary), summary.totals().tasks_changed),
        (500, 0)
    );
    let backfill = Backfill {
        log_group: AGENTS.to_owned(),
        start: Timestamp::from_millis(START_MS),
        end: now(),
    };
    let summary = harness.collector().handle(&backfill, now(), None).await;
    assert_eq!(refused(&summary.unwrap()), 500);
    let push = Push::new(AGENTS, naming(990..1_010));
    let summary = harness.collector().handle(&push, now(), None).await;
    assert_eq!(refused(&summary.unwrap()), 10);
    assert_eq!(tasks().await, first);
    assert_eq!(harness.task("agent:worker").await, Some(of_stream));
}

#[tokio::test]
async fn each_stream_has_a_limit_of_its_own() {
    let harness = Harness::new(1_000);
    harness.logs.put(AGENTS, naming(0..1_001));
    let other = naming(2_000..2_010).into_iter().map(|event| LogEvent {
        log_stream: "other".to_owned(),
        ..event
    });
    harness.logs.put(AGENTS, other);
    assert_eq!(refused(&harness.sweep_at(now()).await), 1);
    assert_eq!(named_tasks(&harness, 2_000..2_010).await, 10);
}

#[tokio::test]
async fn the_limit_holds_for_collectors_that_write_at_once() {
    let harness = Harness::new(1_000);
    let pushes = (0..24).map(|part| naming(part * 60..(part + 1) * 60));
    let collectors = [
        harness.collector(),
        harness.collector(),
        harness.collector(),
    ];
    let pushes = pushes.zip(collectors.iter().cycle());
    let pushes = pushes.map(|(events, collector)| async move {
        let push = Push::new(AGENTS, events);
        collector.handle(&push, now(), None).await.unwrap()
    });
    let summaries = futures::future::join_all(pushes).await;
    assert_eq!(named_tasks(&harness, 0..1_440).await, 1_000);
    assert_eq!(summaries.iter().map(refused).sum::<u64>(), 440);
}

#[tokio::test]
async fn what_a_push_leaves_out_is_read_by_the_next_sweep() {
    let harness = Harness::new(100);
    let lines = ["Step 1/3", "Step 2/3"];
    harness.logs.put(AGENTS, events("worker", &lines));
    let entry = |number: usize, message: &str| json!({"id": format!("{number:056}"), "timestamp": START_MS, "message": message});
    let too_long = "x".repeat(1024 * 1024 + 1);
    let entries = [
        entry(0, "Step 1/3"),
        entry(7, &too_long),
        entry(1, "Step 2/3"),
    ];
    let entries: Vec<String> = entries.iter().map(ToString::to_string).collect();
    let payload = format!(
        r#"{{"messageType":"DATA_MESSAGE","logGroup":"{AGENTS}","logStream":"worker","logEvents":[{}]}}"#,
        entries.join(",")
    );
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(payload.as_bytes()).unwrap();
    let data = STANDARD.encode(packed.finish().unwrap());
    let push = parse_trigger(&json!({"awslogs": {"data": data}})).unwrap();
    let summary = harness.collector().handle(push.as_ref(), now(), None).await;
    let totals = summary.unwrap().totals();
    assert_eq!((totals.pushes_cut, totals.complete), (1, false));
    let current = async || harness.task("agent:worker").await.unwrap().progress.current;
    assert_eq!(current().await, Some(1));
    harness.sweep_at(now()).await;
    assert_eq!(current().await, Some(2));
}

#[tokio::test]
async fn known_ids_and_streams_that_name_none_cost_no_request() {
    let harness = Harness::new(1_000);
    harness.logs.put(AGENTS, naming(0..1_010));
    harness.sweep_at(now()).await;
    let faults = Faults::none();
    let parts = harness.parts();
    let counted = Parts {
        tasks: Arc::new(Faulty::new(parts.tasks.clone(), faults.clone())),
        ..parts
    };
    let collector = Collector::new(counted, config());
    let calls = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = Arc::clone(&calls);
    faults.disturb(move |call| {
        if call.operation.contains("named_ids") {
            seen.lock().unwrap().push(call.operation);
        }
        None::<Fault>
    });
    harness.logs.put(CDK, events("deploy-7", &RUNNING));
    harness
        .logs
        .put(AGENTS, events("plain", &["Step 1/3", "Step 2/3"]));
    for _ in 0..3 {
        collector.handle(&Sweep, now(), None).await.unwrap();
    }
    assert_eq!(
        *calls.lock().unwrap(),
        ["named_ids"],
        "one read in a process"
    );
}

#[tokio::test]
async fn ids_that_cannot_be_looked_up_now_are_read_again() {
    let harness = Harness::new(1_000);
    harness.logs.put(AGENTS, naming(0..3));
    harness
        .logs
        .put(AGENTS, events("plain", &["Step 1/3", "Step 2/3"]));
    let faults = Faults::none();
    let parts = harness.parts();
    let faulty = Parts {
        tasks: Arc::new(Faulty::new(parts.tasks.clone(), faults.clone())),
        ..parts
    };
    let collector = Collector::new(faulty, config());
    faults.disturb(|call| {
        let is_admission = call.operation.ends_with("named_ids");
        is_admission.then_some(Fault::Error(testkit::faults::ErrorKind::Unavailable))
    });
    assert!(collector.handle(&Sweep, now(), None).await.is_err());
    assert_eq!(named_tasks(&harness, 0..3).await, 0);
    assert!(harness.task("agent:plain").await.is_some());
    // The first write is made, and its answer is lost.
    let mut writes = 0;
    faults.disturb(move |call| {
        writes += u32::from(call.operation == "save_named_ids");
        (call.operation == "save_named_ids" && writes == 1).then_some(Fault::AnswerLost)
    });
    assert!(collector.handle(&Sweep, now(), None).await.is_err());
    collector.handle(&Sweep, now(), None).await.unwrap();
    assert_eq!(named_tasks(&harness, 0..3).await, 3);
}
