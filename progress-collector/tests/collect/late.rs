//! Lines that arrive later than the overlap, for which a sweep comes too late.

use std::sync::Arc;
use std::time::Duration;

use progress_collector::{Summary, Sweep};
use shared::model::Timestamp;
use testkit::faults::{ErrorKind, Fault, Faults, Faulty};
use tokio::time::timeout;

use crate::crash::{dies_after, faulty};
use crate::harness::{AGENTS, CDK, Harness, START_MS, completed, events};

fn minutes(minutes: i64) -> Timestamp {
    Timestamp::from_millis(START_MS + 60_000 * minutes)
}

/// The first moment from which each group was read, in minutes.
fn read_from(summary: &Summary) -> Vec<i64> {
    let groups = summary.groups.iter();
    let from = groups.map(|group| group.read_from.unwrap().as_millis());
    from.map(|from| (from - START_MS) / 60_000).collect()
}

/// A sweep of 25 minutes after the start, and the log of a deploy that arrives after it.
async fn with_late_lines(page_size: usize) -> Harness {
    let harness = Harness::new(page_size);
    harness.sweep_at(minutes(25)).await;
    harness.logs.put(CDK, events("deploy-7", &completed()));
    harness
}

#[tokio::test]
async fn a_line_that_arrives_later_than_the_overlap_is_found_in_the_next_hour() {
    let harness = with_late_lines(100).await;
    // The hours of the first log group begin on the hour, those of the second one half an hour later.
    let summary = harness.sweep_at(minutes(28)).await;
    assert_eq!(read_from(&summary), [20, 20]);
    assert!(summary.totals().complete && summary.totals().pages == 2);
    let summary = harness.sweep_at(minutes(31)).await;
    assert_eq!(read_from(&summary), [23, 31 - 360]);
    assert!(harness.task("cdk:deploy-7").await.is_none());

    let summary = harness.sweep_at(minutes(60)).await;
    assert_eq!(read_from(&summary), [60 - 360, 26]);
    assert!(harness.task("cdk:deploy-7").await.is_some());
    let summary = harness.sweep_at(minutes(61)).await;
    assert_eq!(read_from(&summary), [55, 55]);
}

#[tokio::test]
async fn the_first_sweep_of_a_log_group_does_not_look_back() {
    let summary = Harness::new(100).sweep_at(minutes(61)).await;
    assert_eq!(read_from(&summary), [31, 31]);
    assert_eq!(summary.totals().pages, 2);
}

#[tokio::test]
async fn a_look_ends_after_twenty_pages_and_says_how_far_it_came() {
    let harness = with_late_lines(1).await;
    let lines: Vec<_> = (0..18).map(|number| format!("line {number}")).collect();
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    harness.logs.put(CDK, events("long", &lines));
    // More than twenty lines are in the hour before the window.
    let summary = harness.sweep_at(minutes(62)).await;
    let group = &summary.groups[0];
    assert_eq!(
        read_from(&summary)[0],
        20,
        "the first minutes are not read whole"
    );
    assert!(group.complete && group.error.is_none());
    assert_eq!(group.pages, 1 + 20);
}

#[tokio::test(start_paused = true)]
async fn a_look_that_fails_does_not_make_a_sweep_incomplete() {
    let harness = with_late_lines(100).await;
    let faults = Faults::none();
    let mut requests = 0;
    faults.disturb(move |call| {
        requests += u32::from(call.is_about(CDK));
        // The first one is the sweep's own window.
        (call.is_about(CDK) && requests > 1).then_some(Fault::Error(ErrorKind::Refused))
    });
    let logs = Faulty::new(harness.logs.clone(), faults);
    let collector = harness.collector_reading(Arc::new(logs));
    let summary = collector.handle(&Sweep, minutes(60), None).await.unwrap();
    assert_eq!(read_from(&summary)[0], 20);
    assert!(summary.totals().complete && !summary.fallback_used);
    assert_eq!(summary.groups[0].checkpoint, Some(minutes(60)));
}

#[tokio::test(start_paused = true)]
async fn a_collector_that_is_killed_while_it_looks_back_looks_again() {
    let mut unfinished = 0;
    for steps in 0..60 {
        let harness = with_late_lines(3).await;
        harness
            .logs
            .put(AGENTS, events("agent-1", &["[3/10] cloning"]));
        let faults = dies_after(steps, Duration::ZERO);
        let collector = faulty(&harness, &faults);
        let sweep = collector.handle(&Sweep, minutes(60), None);
        let died = timeout(Duration::from_secs(900), sweep).await.is_err();
        unfinished += usize::from(died);
        harness.sweep_at(minutes(62)).await;
        let task = harness.task("cdk:deploy-7").await;
        assert!(task.is_some(), "killed after {steps} steps");
    }
    assert!((10..60).contains(&unfinished), "{unfinished} were killed");
}
