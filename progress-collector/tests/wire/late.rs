//! The hourly look for lines that arrive late, as requests to CloudWatch Logs.

use std::sync::Arc;

use shared::log_parser::LogFormat;
use shared::model::{TaskStatus, Timestamp};

use crate::harness::Harness;
use crate::scripted::{Request, Response, Script};

const HOUR_MS: i64 = 3_600_000;

/// A whole hour.
fn hour() -> Timestamp {
    Timestamp::from_millis(1_795_255_200_000)
}

fn after(ms: i64) -> Timestamp {
    Timestamp::from_millis(hour().as_millis() + ms)
}

/// The window of a request, from the hour on.
fn window(request: &Request) -> (i64, i64) {
    let field = |name: &str| request.body[name].as_i64().unwrap() - hour().as_millis();
    (field("startTime"), field("endTime") - 1) // the source asks for one millisecond more
}

#[tokio::test(start_paused = true)]
async fn the_hours_before_the_window_are_read_once_an_hour_the_latest_first() {
    let empty = Response::page(hour(), &[], None);
    let late = Response::page(
        after(-HOUR_MS),
        &["Api: deploying... [1/1]", " ✅  Api"],
        None,
    );
    let script = Script::new([empty.clone(), empty.clone(), late], empty);
    let groups = [("/miyabi/cdk", LogFormat::CDK)];
    let harness = Harness::reading(Arc::new(script.source()), &groups);
    harness.sweep(after(-60_000), None).await;
    assert_eq!(script.take_requests().len(), 1);

    let summary = harness.sweep(hour(), None).await;
    let windows: Vec<_> = script.take_requests().iter().map(window).collect();
    let overlap = -360_000;
    let oldest = -6 * HOUR_MS;
    let back = |hours: i64| (overlap - hours * HOUR_MS).max(oldest);
    let looked = (0..6).map(|hours| (back(hours + 1), back(hours)));
    let expected: Vec<_> = [(overlap, 0)].into_iter().chain(looked).collect();
    assert_eq!(windows, expected);
    let group = &summary.groups[0];
    assert_eq!(
        (group.read_from, group.complete),
        (Some(after(oldest)), true)
    );
    assert_eq!(harness.tasks().await[0].status, TaskStatus::Completed);

    let summary = harness.sweep(after(60_000), None).await;
    assert_eq!(script.take_requests().len(), 1);
    assert_eq!(summary.groups[0].read_from, Some(after(-300_000)));
}

#[tokio::test(start_paused = true)]
async fn a_look_that_is_refused_leaves_the_sweep_complete_and_says_so() {
    let empty = Response::page(hour(), &[], None);
    let refused = Response::error(400, "AccessDeniedException");
    let script = Script::new([empty.clone(), empty], refused);
    let groups = [("/miyabi/cdk", LogFormat::CDK)];
    let harness = Harness::reading(Arc::new(script.source()), &groups);
    harness.sweep(after(-60_000), None).await;
    let summary = harness.sweep(hour(), None).await;
    let group = &summary.groups[0];
    assert!(group.complete && !summary.fallback_used);
    assert_eq!(group.read_from, Some(after(-360_000)));
    assert_eq!(group.checkpoint, Some(hour()));
}
