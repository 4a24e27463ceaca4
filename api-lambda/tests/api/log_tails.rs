//! `GET /api/tasks/{task_id}/log` of tasks whose lines are in log streams.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use shared::log_event::LogEvent;
use shared::model::{Task, TaskStatus};
use testkit::faults::{ErrorKind, Fault, Faults, Faulty};
use testkit::log_source::InMemoryLogSource;
use testkit::store::memory::InMemoryStore;

use crate::harness::{ApiResponse, Harness, task};

const LOG: &str = "/api/tasks/cdk:shop/log";

/// A task of the log stream `shop` in `group`.
fn of_stream() -> Task {
    Task {
        log_group: Some("group".to_owned()),
        log_stream: Some("shop".to_owned()),
        status: TaskStatus::Running,
        ..task("cdk:shop", 0)
    }
}

/// An event `seconds` after the start of the task.
fn event(log_stream: &str, seconds: u64, message: &str) -> LogEvent {
    let timestamp = of_stream().run.after(Duration::from_secs(seconds));
    LogEvent {
        log_stream: log_stream.to_owned(),
        timestamp,
        ingested_at: timestamp,
        event_id: format!("{seconds}"),
        message: message.to_owned(),
    }
}

/// The texts of the last lines of `task`, if its log has these events.
async fn tail(task: &Task, events: Vec<LogEvent>) -> Vec<String> {
    let source = InMemoryLogSource::new(100);
    source.put("group", events);
    let harness = Harness::with_log_tails(Arc::new(InMemoryStore::new()), Arc::new(source));
    harness.save(task).await;
    let log = harness.read(LOG).await;
    let lines = log["lines"].as_array().unwrap().iter();
    lines
        .map(|line| line["text"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn the_lines_of_the_log_stream_are_shown_without_secrets() {
    let events = vec![
        event("shop", 1, "deploying"),
        event("other", 2, "not shown"),
        event("shop", 3, "DB_PASSWORD=hunter22"),
    ];
    assert_eq!(
        tail(&of_stream(), events).await,
        ["deploying", "DB_PASSWORD=[redacted]"]
    );
}

#[tokio::test]
async fn an_ended_run_has_no_lines_of_later_runs() {
    let at = |seconds| of_stream().run.after(Duration::from_secs(seconds));
    let ended = |is_earlier| Task {
        status: TaskStatus::Completed,
        updated_at: at(10),
        completed_at: Some(at(10)),
        is_earlier,
        ..of_stream()
    };
    let events = || {
        vec![
            event("shop", 10, "done"),
            event("shop", 30, "bye"),
            event("shop", 4000, "next"),
        ]
    };
    assert_eq!(tail(&ended(false), events()).await, ["done", "bye"]);
    assert_eq!(tail(&of_stream(), events()).await.len(), 3);
}

/// The answer if reading the log stream fails.
async fn answer_failing(kind: ErrorKind) -> ApiResponse {
    let source = InMemoryLogSource::new(100);
    source.put("group", [event("shop", 1, "deploying")]);
    let source = Faulty::new(Arc::new(source), Faults::always(Fault::Error(kind)));
    let harness = Harness::with_log_tails(Arc::new(InMemoryStore::new()), Arc::new(source));
    harness.save(&of_stream()).await;
    harness.get(LOG).await
}

#[tokio::test]
async fn a_source_that_does_not_answer_is_503() {
    let answer = answer_failing(ErrorKind::Unavailable).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.problem(), "unavailable");
}

#[tokio::test]
async fn a_log_group_that_may_not_be_read_is_named() {
    let log = answer_failing(ErrorKind::Refused).await.json();
    assert!(log["lines"].as_array().unwrap().is_empty());
    assert!(log["note"].as_str().unwrap().contains("group"), "{log}");
}

#[tokio::test]
async fn a_log_group_that_is_gone_has_no_lines() {
    let source = Arc::new(InMemoryLogSource::new(100));
    let harness = Harness::with_log_tails(Arc::new(InMemoryStore::new()), source);
    harness.save(&of_stream()).await;
    let log = harness.read(LOG).await;
    assert!(log["lines"].as_array().unwrap().is_empty() && log["note"].is_null());
}

#[tokio::test]
async fn a_task_without_a_log_has_no_lines() {
    let no_log = Task {
        log_group: None,
        log_stream: None,
        ..of_stream()
    };
    assert!(
        tail(&no_log, vec![event("shop", 1, "deploying")])
            .await
            .is_empty()
    );
}
