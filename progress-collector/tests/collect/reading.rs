//! How log groups are read: pages, windows, deadlines, and groups that can't be read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use progress_collector::{Trigger, invoke};
use serde_json::{Value, json};
use shared::log_event::LogEvent;
use shared::log_source::{LogPage, LogSource, LogSourceError, PageRequest};
use shared::model::{TaskStatus, Timestamp};
use tokio::time::Instant;

use crate::world::{AGENTS, CDK, RUNNING, START_MS, World, completed, events, now};

/// A source that fails for one log group, answers late, or gives an empty page before each full one.
struct Trouble {
    inner: Arc<dyn LogSource>,
    failing_group: Option<&'static str>,
    transient: bool,
    delay: Duration,
    empty_pages: bool,
    requests: AtomicUsize,
}

impl Trouble {
    fn of(world: &World) -> Self {
        Self {
            inner: world.logs.clone(),
            failing_group: None,
            transient: true,
            delay: Duration::ZERO,
            empty_pages: false,
            requests: AtomicUsize::new(0),
        }
    }
}

#[async_trait]
impl LogSource for Trouble {
    async fn fetch_page(&self, request: PageRequest<'_>) -> Result<LogPage, LogSourceError> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(self.delay).await;
        let log_group = request.log_group.to_owned();
        if self.failing_group == Some(request.log_group) {
            let source = "throttled".into();
            return Err(match self.transient {
                true => LogSourceError::Unavailable { log_group, source },
                false => LogSourceError::Refused { log_group, source },
            });
        }
        if self.empty_pages {
            let token = request.next_token.unwrap_or("first");
            let Some(token) = token.strip_prefix("empty-") else {
                let next_token = Some(format!("empty-{token}"));
                return Ok(LogPage {
                    events: Vec::new(),
                    next_token,
                });
            };
            let next_token = (token != "first").then_some(token);
            return self
                .inner
                .fetch_page(PageRequest {
                    next_token,
                    ..request
                })
                .await;
        }
        self.inner.fetch_page(request).await
    }
}

#[tokio::test]
async fn every_page_is_read_also_after_an_empty_one() {
    let world = World::new(1);
    world.logs.put(CDK, events("deploy-7", &completed()));
    let trouble = Trouble {
        empty_pages: true,
        ..Trouble::of(&world)
    };
    let collector = world.collector_reading(Arc::new(trouble));
    let summary = collector.handle(Trigger::Sweep, now(), None).await.unwrap();
    assert!(summary.totals().complete);
    assert_eq!(
        world.task("cdk:deploy-7").await.unwrap().status,
        TaskStatus::Completed
    );
}

#[tokio::test]
async fn a_window_is_read_without_touching_checkpoints() {
    let world = World::new(100);
    world.logs.put(CDK, events("deploy-7", &completed()));
    let start = Timestamp::from_millis(START_MS);
    let end = Timestamp::from_millis(START_MS + 4_000);
    let trigger = Trigger::Backfill {
        log_group: CDK.to_owned(),
        start,
        end,
    };
    let summary = world
        .collector()
        .handle(trigger, now(), None)
        .await
        .unwrap();
    assert_eq!(
        (summary.groups[0].events, summary.groups[0].checkpoint),
        (5, None)
    );
    let task = world.task("cdk:deploy-7").await.unwrap();
    assert_eq!(task.progress.percentage, Some(60));
}

#[tokio::test]
async fn one_page_of_many_tasks_is_saved_in_portions() {
    let line =
        |task: usize| format!(r#"{{"task_id":"t{task}","progress":{{"current":1,"total":4}}}}"#);
    let lines: Vec<String> = (0..1_000).map(line).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let late = |event: LogEvent| LogEvent {
        timestamp: Timestamp::from_millis(START_MS),
        ..event
    };
    let world = World::new(10_000);
    let log = events("agent-1", &lines);
    world.logs.put(AGENTS, log.into_iter().map(late));
    let summary = world.sweep().await;
    assert_eq!(
        (summary.groups[1].pages, summary.groups[1].tasks_changed),
        (1, 1_000)
    );
    assert!(world.task("t0").await.is_some() && world.task("t999").await.is_some());
}

#[tokio::test]
async fn an_invocation_writes_its_metrics_and_nothing_else() {
    let world = World::new(2);
    let mut written = Vec::new();
    let collector = world.collector();
    let summary = invoke(&collector, &json!({}), 0, &mut written)
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
    let failed = invoke(&collector, &json!([]), 0, &mut written).await;
    assert!(failed.is_err() && written.is_empty());
}

#[tokio::test]
async fn a_late_event_within_the_overlap_is_found() {
    let world = World::new(100);
    let mut late = events("deploy-7", &completed());
    let on_time = [late.remove(1)];
    world.logs.put(CDK, on_time);
    world.sweep().await;
    world.logs.put(CDK, late);
    let soon = Timestamp::from_millis(now().as_millis() + 1_000);
    world
        .collector()
        .handle(Trigger::Sweep, soon, None)
        .await
        .unwrap();
    assert!(world.task("cdk:deploy-7").await.is_some());
}

#[tokio::test(start_paused = true)]
async fn one_group_that_fails_does_not_lose_the_other() {
    for (transient, retries) in [(true, 4), (false, 0)] {
        let world = World::new(100);
        world.logs.put(CDK, events("deploy-7", &RUNNING));
        world
            .logs
            .put(AGENTS, events("agent-1", &["[3/10] cloning"]));
        let trouble = Trouble {
            failing_group: Some(CDK),
            transient,
            ..Trouble::of(&world)
        };
        let collector = world.collector_reading(Arc::new(trouble));
        let summary = collector.handle(Trigger::Sweep, now(), None).await.unwrap();
        assert!(world.task("agent:agent-1").await.is_some());
        assert_eq!(
            (summary.totals().retries, summary.fallback_used),
            (retries, true)
        );
        assert!(summary.groups[0].error.is_some() && summary.groups[1].error.is_none());
        // The next run catches up.
        assert!(world.task("cdk:deploy-7").await.is_none());
        world.sweep().await;
        assert!(world.task("cdk:deploy-7").await.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn retries_that_time_cuts_off_are_counted_too() {
    let world = World::new(100);
    let trouble = Trouble {
        failing_group: Some(CDK),
        ..Trouble::of(&world)
    };
    let collector = world.collector_reading(Arc::new(trouble));
    // Of the 3.1 seconds for reading three attempts take 3 at most; the fourth comes after 3.5 at least.
    let deadline = Some(Instant::now() + Duration::from_millis(6_100));
    let summary = collector.handle(Trigger::Sweep, now(), deadline).await;
    let summary = summary.unwrap();
    assert_eq!(summary.totals().retries, 2);
    assert!(!summary.groups[0].complete);
    assert!(summary.groups[1].complete && !summary.fallback_used);
}

#[tokio::test]
async fn a_group_that_does_not_exist_is_an_empty_one() {
    let world = World {
        logs: Arc::new(testkit::log_source::InMemoryLogSource::new(10)),
        ..World::new(1)
    };
    let summary = world.sweep().await;
    assert!(summary.totals().complete);
    assert_eq!(summary.groups[0].error, None);
}

#[tokio::test(start_paused = true)]
async fn time_that_runs_out_ends_the_reading_not_the_saving() {
    let world = World::new(1);
    world.logs.put(CDK, events("deploy-7", &RUNNING));
    let trouble = Trouble {
        delay: Duration::from_secs(2),
        ..Trouble::of(&world)
    };
    let collector = world.collector_reading(Arc::new(trouble));
    let started = Instant::now();
    let deadline = Some(started + Duration::from_secs(10));
    let summary = collector
        .handle(Trigger::Sweep, now(), deadline)
        .await
        .unwrap();
    assert!(!summary.groups[0].complete);
    assert!(started.elapsed() < Duration::from_secs(10));
    assert!(summary.groups[0].events > 0, "what was read in time");
    assert!(world.task("cdk:deploy-7").await.is_some(), "is saved");
}
