//! The collector on an emulator of CloudWatch Logs.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use shared::log_event::LogEvent;
use shared::log_parser::LogFormat;
use shared::log_source::CloudWatchLogSource;
use shared::model::{TaskStatus, Timestamp};
use testkit::log_source::InMemoryLogSource;

use crate::client::with_pages_of;
use crate::harness::Harness;
use crate::log_group::LogGroup;

/// The lines of a sample run of `local`.
fn sample(name: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../local/samples/{name}.log"));
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().filter(|line| !line.is_empty()); // CloudWatch Logs accepts no empty event
    lines.map(str::to_owned).collect()
}

/// Gives three lines each millisecond, as if a program printed them at once.
fn timed(start: Timestamp, lines: &[String]) -> Vec<(Timestamp, String)> {
    let times = (0..).map(|index| Timestamp::from_millis(start.as_millis() + index / 3));
    times.zip(lines.iter().cloned()).collect()
}

#[tokio::test]
async fn a_sweep_of_cloudwatch_logs_saves_the_same_tasks_as_one_of_logs_in_memory() {
    let now = Timestamp::now();
    let start = Timestamp::from_millis(now.as_millis() - 600_000);
    let groups = [
        (
            "/collecting/cdk",
            LogFormat::CDK,
            ["docs-deploy", "shop-deploy", "workers-deploy"].as_slice(),
        ),
        (
            "/collecting/agents",
            LogFormat::AGENT,
            ["coder-142", "nightly-digest"].as_slice(),
        ),
    ];
    let in_memory = InMemoryLogSource::new(1_000);
    let mut on_emulator = Vec::new();
    for (name, _, streams) in groups {
        let group = LogGroup::create(name, streams).await;
        for stream in streams {
            let events = timed(start, &sample(stream));
            let event = |(number, (timestamp, message)): (usize, &(Timestamp, String))| LogEvent {
                log_stream: (*stream).to_owned(),
                timestamp: *timestamp,
                ingested_at: *timestamp,
                event_id: format!("{number:056}"),
                message: message.clone(),
            };
            in_memory.put(name, events.iter().enumerate().map(event));
            group.put(stream, events).await;
        }
        on_emulator.push(group);
    }

    let formats = groups.map(|(name, format, _)| (name, format));
    let expected = Harness::reading(Arc::new(in_memory), &formats);
    let expected_summary = expected.sweep(now, None).await;
    // These pages split the lines of a millisecond.
    let client = with_pages_of(10, &on_emulator[0].client);
    let harness = Harness::reading(Arc::new(CloudWatchLogSource::new(client)), &formats);
    let summary = harness.sweep(now, None).await;

    let tasks = harness.tasks().await;
    assert_eq!(tasks.len(), 5);
    let ended = tasks
        .iter()
        .filter(|task| task.status == TaskStatus::Completed);
    assert!(ended.count() >= 3, "most sample runs complete");
    assert_eq!(tasks, expected.tasks().await);
    let (totals, expected_totals) = (summary.totals(), expected_summary.totals());
    assert!(totals.complete && totals.log_events > 200);
    assert_eq!(
        (
            totals.log_events,
            totals.lines_parsed,
            totals.parse_failures
        ),
        (
            expected_totals.log_events,
            expected_totals.lines_parsed,
            expected_totals.parse_failures
        ),
    );

    let again = harness.sweep(now, None).await.totals();
    assert_eq!(again.tasks_changed, 0, "a second sweep changes nothing");
    assert_eq!(tasks, harness.tasks().await);
}

#[tokio::test]
async fn a_missing_log_group_counts_as_empty() {
    let group = LogGroup::create("/collecting/present", &["nightly-digest"]).await;
    let now = Timestamp::now();
    let start = Timestamp::from_millis(now.as_millis() - 600_000);
    let lines = sample("nightly-digest");
    group.put("nightly-digest", timed(start, &lines)).await;

    let groups = [
        ("/collecting/absent", LogFormat::CDK),
        ("/collecting/present", LogFormat::AGENT),
    ];
    let harness = Harness::reading(Arc::new(group.source()), &groups);
    let summary = harness.sweep(now, None).await;
    let totals = summary.totals();
    assert!(totals.complete && !summary.fallback_used);
    assert_eq!(
        (summary.groups[0].error.as_deref(), totals.retries),
        (None, 0)
    );
    assert_eq!(harness.tasks().await.len(), 1);
}
