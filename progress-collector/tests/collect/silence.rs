//! Logs without progress, and runs whose logs fall silent.

use std::time::Duration;

use progress_collector::{Push, Sweep};
use shared::log_event::LogEvent;
use shared::model::{TaskStatus, Timestamp};
use testkit::faults::{ErrorKind, Fault, Faults, Faulty};

use crate::harness::{AGENTS, CDK, Harness, RUNNING, START_MS, events, now};

/// A moment after the first log event.
fn after(seconds: u64) -> Timestamp {
    Timestamp::from_millis(START_MS).after(Duration::from_secs(seconds))
}

/// The events of a stream, later by this many seconds.
fn events_after(seconds: u64, stream: &str, lines: &[&str]) -> Vec<LogEvent> {
    let later = |event: LogEvent| LogEvent {
        timestamp: event.timestamp.after(Duration::from_secs(seconds)),
        ingested_at: event.ingested_at.after(Duration::from_secs(seconds)),
        event_id: format!(
            "{seconds:08}{:0>48}",
            event.event_id.trim_start_matches('0')
        ),
        ..event
    };
    events(stream, lines).into_iter().map(later).collect()
}

#[tokio::test]
async fn a_log_without_progress_is_a_running_task_with_its_last_line() {
    let harness = Harness::new(100);
    harness
        .logs
        .put(AGENTS, events("painter", &["Mixing", "Stirring"]));
    let summary = harness.sweep_at(after(60)).await;
    assert_eq!(summary.totals().tasks_changed, 1);
    let task = harness.task("agent:painter").await.unwrap();
    assert_eq!(task.status, TaskStatus::Running);
    assert_eq!(task.message.as_deref(), Some("Stirring"));
    assert_eq!(harness.sweep_at(after(120)).await.totals().tasks_changed, 0);
}

#[tokio::test]
async fn a_sweep_ends_silent_runs_and_a_later_line_takes_that_back() {
    let harness = Harness::new(100);
    harness
        .logs
        .put(AGENTS, events("painter", &["Mixing", "ValueError: no ink"]));
    harness.logs.put(CDK, events("deploy-7", &RUNNING));
    harness.sweep_at(after(60)).await;
    assert_eq!(harness.sweep_at(after(800)).await.runs_silent, 0);
    let summary = harness.sweep_at(after(1_000)).await;
    assert_eq!(summary.runs_silent, 2);
    let painter = harness.task("agent:painter").await.unwrap();
    assert_eq!(
        (painter.status, painter.is_assumed),
        (TaskStatus::Failed, true)
    );
    let deploy = harness.task("cdk:deploy-7").await.unwrap();
    assert_eq!(
        (deploy.status, deploy.is_assumed),
        (TaskStatus::Ended, true)
    );
    assert_eq!(deploy.completed_at, Some(after(4)));
    assert_eq!(harness.sweep_at(after(1_060)).await.runs_silent, 0);

    harness
        .logs
        .put(AGENTS, events_after(1_100, "painter", &["Mixing again"]));
    harness.sweep_at(after(1_200)).await;
    let painter = harness.task("agent:painter").await.unwrap();
    assert_eq!(
        (painter.status, painter.is_assumed),
        (TaskStatus::Running, false)
    );
    assert_eq!((painter.corrections, painter.completed_at), (1, None));
}

#[tokio::test]
async fn a_log_that_cannot_be_read_is_not_silent() {
    let harness = Harness::new(100);
    harness.logs.put(CDK, events("deploy-7", &RUNNING));
    harness.sweep_at(after(60)).await;
    let faults = Faults::none();
    let denied = Fault::Error(ErrorKind::Refused);
    faults.disturb(move |call| call.is_about(CDK).then_some(denied));
    let source = std::sync::Arc::new(Faulty::new(harness.logs.clone(), faults));
    let collector = harness.collector_reading(source);
    let summary = collector.handle(&Sweep, after(1_000), None).await.unwrap();
    assert_eq!(summary.runs_silent, 0);
    let task = harness.task("cdk:deploy-7").await.unwrap();
    assert_eq!(task.status, TaskStatus::Running);
}

#[tokio::test]
async fn the_lines_of_a_stream_that_names_tasks_make_no_other_task() {
    let harness = Harness::new(100);
    let named = r#"{"task_id":"report-3","progress":40}"#;
    for lines in [&["Starting", named][..], &["Starting", named, "Still here"]] {
        harness.logs.put(AGENTS, events("worker", lines));
        harness.sweep().await;
        let push = Push::new(AGENTS, events_after(300, "worker", &["Talking"]));
        harness
            .collector()
            .handle(&push, now(), None)
            .await
            .unwrap();
        let ids: Vec<_> = harness
            .tasks()
            .await
            .into_iter()
            .map(|task| task.task_id)
            .collect();
        assert_eq!(ids, [crate::harness::id("report-3")]);
    }
}

#[tokio::test]
async fn pushes_of_a_log_that_chats_are_saved_once_a_minute() {
    let harness = Harness::new(100);
    let collector = harness.collector();
    let mut changed = Vec::new();
    for (seconds, line) in [
        (0, "Mixing"),
        (20, "Stirring"),
        (40, "Stirring"),
        (61, "Stirring"),
        (70, "ValueError: no ink"),
        (75, "Sweeping"),
    ] {
        let push = Push::new(AGENTS, events_after(seconds, "painter", &[line]));
        let summary = collector.handle(&push, after(seconds), None).await.unwrap();
        changed.push(summary.totals().tasks_changed);
    }
    assert_eq!(changed, [1, 0, 0, 1, 1, 0]);
}
