//! Objects: a log that was stored whole is read once.

use std::sync::Arc;

use progress_collector::triggers::objects::Objects;
use progress_collector::{Collector, Parts, Summary, Trigger};
use serde_json::{Value, json};
use shared::model::{TaskStatus, Timestamp};
use testkit::faults::{ErrorKind, Fault, Faults, Faulty};

use crate::harness::{Harness, START_MS, completed, config, now};

fn created(key: &str, bytes: u64) -> Value {
    json!({
        "source": "aws.s3", "detail-type": "Object Created",
        "detail": {"bucket": {"name": "logs"}, "object": {"key": key, "size": bytes}},
    })
}

fn stored_at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(START_MS + 1_000 * seconds)
}

async fn read(collector: &Collector, key: &str) -> Summary {
    let objects = Objects::matches(&created(key, 10)).unwrap().unwrap();
    collector.handle(&objects, now(), None).await.unwrap()
}

#[tokio::test]
async fn an_object_is_read_once_however_often_it_comes() {
    let harness = Harness::new(10);
    let log = completed().join("\n");
    harness
        .objects
        .put("logs", "deploys/shop.log", stored_at(60), log);
    let summary = read(&harness.collector(), "deploys/shop.log").await;
    assert!(summary.groups[0].complete, "{summary:?}");
    let tasks = harness.tasks().await;
    assert_eq!(tasks.len(), 1);
    assert_eq!(tasks[0].status, TaskStatus::Completed);
    assert_eq!(tasks[0].log_group.as_deref(), Some("s3://logs"));
    assert_eq!(tasks[0].log_stream.as_deref(), Some("deploys/shop"));
    let again = read(&harness.collector(), "deploys/shop.log").await;
    assert_eq!(again.totals().tasks_changed, 0);
    assert_eq!(harness.tasks().await, tasks);
}

#[tokio::test]
async fn the_last_lines_tell_how_a_run_has_ended() {
    let harness = Harness::new(10);
    let log = "[1/9] copying\nTraceback (most recent call last):\nValueError: no ink\n";
    harness.objects.put("logs", "crash.txt", stored_at(60), log);
    read(&harness.collector(), "crash.txt").await;
    let task = harness.task("run:crash").await.unwrap();
    assert_eq!(task.status, TaskStatus::Failed);
    assert!(!task.is_assumed, "the log is whole");
}

#[tokio::test]
async fn an_object_that_is_overwritten_is_another_run() {
    let harness = Harness::new(10);
    for (seconds, log) in [
        (60, "[1/9] copying\n[9/9] copying\n"),
        (120, "[1/9] copying\n[2/9] copying\n"),
    ] {
        harness.objects.put("logs", "x", stored_at(seconds), log);
        for _ in 0..2 {
            read(&harness.collector(), "x").await;
        }
    }
    let progress = |task: &shared::model::Task| task.progress.current;
    let progress: Vec<_> = harness.tasks().await.iter().map(progress).collect();
    assert_eq!(progress, [Some(2), Some(9)]);
}

#[tokio::test]
async fn an_object_that_can_not_be_read_is_reported_and_not_tried_again() {
    let harness = Harness::new(10);
    harness.objects.put(
        "logs",
        "broken.gz",
        stored_at(60),
        [0x1f, 0x8b, 9, 9, 9, 9, 9, 9, 9, 9, 9],
    );
    for key in ["gone", "broken.gz"] {
        let summary = read(&harness.collector(), key).await;
        assert_eq!(summary.totals().messages_refused, 1, "{key}");
        assert!(summary.groups[0].error.is_some(), "{key}");
    }
    let large = Objects::matches(&created("large", 101 * 1024 * 1024))
        .unwrap()
        .unwrap();
    let summary = harness
        .collector()
        .handle(&large, now(), None)
        .await
        .unwrap();
    assert!(summary.groups[0].error.as_ref().unwrap().contains("larger"));
}

#[tokio::test]
async fn while_a_service_is_down_the_invocation_fails_and_nothing_is_lost() {
    let harness = Harness::new(10);
    harness
        .objects
        .put("logs", "x", stored_at(60), "[1/9] copying\n");
    let parts = harness.parts();
    let faults = Faults::always(Fault::Error(ErrorKind::Unavailable));
    let tasks = Arc::new(Faulty::new(parts.tasks.clone(), faults));
    let faults = Faults::always(Fault::Error(ErrorKind::Unavailable));
    let unreadable = Arc::new(Faulty::new(parts.objects.clone(), faults));
    let parts = [
        Parts {
            tasks,
            ..parts.clone()
        },
        Parts {
            objects: unreadable,
            ..parts
        },
    ];
    let objects = Objects::matches(&created("x", 10)).unwrap().unwrap();
    for parts in parts {
        let broken = Collector::new(parts, config());
        assert!(broken.handle(&objects, now(), None).await.is_err());
    }
    read(&harness.collector(), "x").await;
    assert_eq!(
        harness.task("run:x").await.unwrap().progress.current,
        Some(1)
    );
}
