//! Reading log groups: pages, windows, deadlines and failures.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use progress_collector::{Backfill, MetricsLevel, Sweep, invoke};
use serde_json::{Value, json};
use shared::log_event::LogEvent;
use shared::log_source::{LogPage, LogSource, LogSourceError, PageRequest};
use shared::model::{TaskStatus, Timestamp};
use testkit::faults::{Disturbance, ErrorKind, Fault, Faults, Faulty};
use tokio::time::Instant;

use crate::harness::{AGENTS, CDK, Harness, RUNNING, START_MS, completed, events, now};

/// A source that returns an empty page before each page with events.
struct EmptyPages(Arc<dyn LogSource>);

#[async_trait]
impl LogSource for EmptyPages {
    async fn fetch_page(&self, request: PageRequest<'_>) -> Result<LogPage, LogSourceError> {
        let page_token = request.next_token.unwrap_or("first");
        let Some(page_token) = page_token.strip_prefix("empty-") else {
            return Ok(LogPage {
                events: Vec::new(),
                next_token: Some(format!("empty-{page_token}")),
            });
        };
        let request = PageRequest {
            next_token: (page_token != "first").then_some(page_token),
            ..request
        };
        self.0.fetch_page(request).await
    }
}

/// The harness's logs, of which [`CDK`] can't be read.
fn failing_cdk(harness: &Harness, kind: ErrorKind) -> Arc<dyn LogSource> {
    let faults = Faults::none();
    faults.disturb(move |call| call.is_about(CDK).then_some(Fault::Error(kind)));
    Arc::new(Faulty::new(harness.logs.clone(), faults))
}

#[tokio::test]
async fn pages_after_an_empty_page_are_read() {
    let harness = Harness::new(1);
    harness.logs.put(CDK, events("deploy-7", &completed()));
    let source = EmptyPages(harness.logs.clone());
    let collector = harness.collector_reading(Arc::new(source));
    let summary = collector.handle(&Sweep, now(), None).await.unwrap();
    assert!(summary.totals().complete);
    assert_eq!(
        harness.task("cdk:deploy-7").await.unwrap().status,
        TaskStatus::Completed
    );
}

#[tokio::test]
async fn a_backfill_leaves_checkpoints_unchanged() {
    let harness = Harness::new(100);
    harness.logs.put(CDK, events("deploy-7", &completed()));
    let start = Timestamp::from_millis(START_MS);
    let end = Timestamp::from_millis(START_MS + 4_000);
    let trigger = Backfill {
        log_group: CDK.to_owned(),
        start,
        end,
    };
    let summary = harness
        .collector()
        .handle(&trigger, now(), None)
        .await
        .unwrap();
    assert_eq!(
        (summary.groups[0].log_events, summary.groups[0].checkpoint),
        (5, None)
    );
    let task = harness.task("cdk:deploy-7").await.unwrap();
    assert_eq!(task.progress.percentage, Some(60));
}

#[tokio::test]
async fn one_page_of_many_tasks_is_saved_in_batches() {
    let line =
        |task: usize| format!(r#"{{"task_id":"t{task}","progress":{{"current":1,"total":4}}}}"#);
    let lines: Vec<String> = (0..1_000).map(line).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let late = |event: LogEvent| LogEvent {
        timestamp: Timestamp::from_millis(START_MS),
        ..event
    };
    let harness = Harness::new(10_000);
    let log = events("agent-1", &lines);
    harness.logs.put(AGENTS, log.into_iter().map(late));
    let summary = harness.sweep().await;
    assert_eq!(
        (summary.groups[1].pages, summary.groups[1].tasks_changed),
        (1, 1_000)
    );
    assert!(harness.task("t0").await.is_some() && harness.task("t999").await.is_some());
}

#[tokio::test]
async fn an_invocation_writes_its_metrics_and_nothing_else() {
    let harness = Harness::new(2);
    let mut written = Vec::new();
    let collector = harness.collector();
    let summary = invoke(&collector, &json!({}), 0, MetricsLevel::Full, &mut written)
        .await
        .unwrap();
    assert!(summary.totals().complete);
    let lines = String::from_utf8(written).unwrap();
    let documents: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let groups: Vec<_> = documents
        .iter()
        .map(|document| &document["LogGroup"])
        .collect();
    assert_eq!(groups, [CDK, AGENTS]);

    let mut written = Vec::new();
    let failed = invoke(&collector, &json!([]), 0, MetricsLevel::Full, &mut written).await;
    assert!(failed.is_err() && written.is_empty());
}

#[tokio::test]
async fn a_late_event_within_the_overlap_is_found() {
    let harness = Harness::new(100);
    let mut late = events("deploy-7", &completed());
    let on_time = [late.remove(1)];
    harness.logs.put(CDK, on_time);
    harness.sweep().await;
    harness.logs.put(CDK, late);
    let soon = Timestamp::from_millis(now().as_millis() + 1_000);
    harness
        .collector()
        .handle(&Sweep, soon, None)
        .await
        .unwrap();
    assert!(harness.task("cdk:deploy-7").await.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_failing_log_group_does_not_stop_the_others() {
    for (kind, retries) in [(ErrorKind::Unavailable, 4), (ErrorKind::Refused, 0)] {
        let harness = Harness::new(100);
        harness.logs.put(CDK, events("deploy-7", &RUNNING));
        harness
            .logs
            .put(AGENTS, events("agent-1", &["[3/10] cloning"]));
        let collector = harness.collector_reading(failing_cdk(&harness, kind));
        let summary = collector.handle(&Sweep, now(), None).await.unwrap();
        assert!(harness.task("agent:agent-1").await.is_some());
        assert_eq!(
            (summary.totals().retries, summary.fallback_used),
            (retries, true)
        );
        assert!(summary.groups[0].error.is_some() && summary.groups[1].error.is_none());
        // The next run catches up.
        assert!(harness.task("cdk:deploy-7").await.is_none());
        harness.sweep().await;
        assert!(harness.task("cdk:deploy-7").await.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn retries_before_the_deadline_are_counted() {
    let harness = Harness::new(100);
    let source = failing_cdk(&harness, ErrorKind::Unavailable);
    let collector = harness.collector_reading(source);
    // Reading has 3.1 seconds. Three attempts take at most 3 seconds, and a fourth starts after at
    // least 3.5.
    let deadline = Some(Instant::now() + Duration::from_millis(6_100));
    let summary = collector.handle(&Sweep, now(), deadline).await;
    let summary = summary.unwrap();
    assert_eq!(summary.totals().retries, 2);
    assert!(!summary.groups[0].complete);
    assert!(summary.groups[1].complete && !summary.fallback_used);
}

#[tokio::test]
async fn a_missing_log_group_counts_as_empty() {
    let harness = Harness {
        logs: Arc::new(testkit::log_source::InMemoryLogSource::new(10)),
        ..Harness::new(1)
    };
    let summary = harness.sweep().await;
    assert!(summary.totals().complete);
    assert_eq!(summary.groups[0].error, None);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_stops_reading_but_not_saving() {
    let harness = Harness::new(1);
    harness.logs.put(CDK, events("deploy-7", &RUNNING));
    let faults = Faults::none();
    faults.disturb(|_| Disturbance {
        before: Duration::from_secs(2),
        ..Disturbance::default()
    });
    let slow = Faulty::new(harness.logs.clone(), faults);
    let collector = harness.collector_reading(Arc::new(slow));
    let started = Instant::now();
    let deadline = Some(started + Duration::from_secs(10));
    let summary = collector.handle(&Sweep, now(), deadline).await.unwrap();
    assert!(!summary.groups[0].complete);
    assert!(started.elapsed() < Duration::from_secs(10));
    assert!(summary.groups[0].log_events > 0, "no event was read");
    let task = harness.task("cdk:deploy-7").await;
    assert!(task.is_some(), "events were read, and no task was saved");
}
