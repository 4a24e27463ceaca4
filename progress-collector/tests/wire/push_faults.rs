//! Responses of AppSync Events, and what happens to the messages.

use std::sync::Arc;
use std::time::Duration;

use progress_collector::{Invocation, PublishSummary, Publisher};
use serde_json::{Value, json};
use shared::model::Timestamp;
use testkit::store::memory::InMemoryStore;
use tokio::time::Instant;

use crate::event_faults::record;
use crate::scripted::{Response, Script};

/// A response in which the events with a code other than 0 failed.
fn outcomes(codes: &[u16]) -> Response {
    let mut body = json!({"successful": [], "failed": []});
    for (index, code) in codes.iter().enumerate() {
        let identifier = format!("id-{index}");
        let (list, outcome) = match code {
            0 => (
                "successful",
                json!({"identifier": identifier, "index": index}),
            ),
            code => (
                "failed",
                json!({"identifier": identifier, "index": index, "code": code, "errorMessage": "injected"}),
            ),
        };
        body[list].as_array_mut().unwrap().push(outcome);
    }
    Response::http(200, &body.to_string())
}

/// Publishes the change of one task: a message for the lists, and one for the task.
async fn publish(script: &Script, deadline: Option<Instant>) -> PublishSummary {
    let tasks = Arc::new(InMemoryStore::new());
    let sink = Arc::new(script.push_sink());
    let publisher = Publisher::to_push(tasks, sink, Duration::from_secs(900));
    let now = Timestamp::now();
    let records = [record("t", 7)];
    let summary = publisher.follow(&records, Invocation { now, deadline });
    summary.await.published.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_change_is_published_on_the_channels_of_the_lists_and_of_the_task() {
    let script = Script::new([], outcomes(&[0]));
    let summary = publish(&script, None).await;
    assert_eq!((summary.sent, summary.requests), (2, 2));
    assert_eq!(summary.retry_from, None);
    let requests = script.take_requests();
    let mut channels: Vec<_> = requests
        .iter()
        .map(|request| &request.body["channel"])
        .collect();
    channels.sort_by_key(|channel| channel.to_string());
    assert_eq!(channels[1], "/progress/tasks");
    assert!(channels[0].as_str().unwrap().starts_with("/progress/task/"));
    for request in &requests {
        let event: Value =
            serde_json::from_str(request.body["events"][0].as_str().unwrap()).unwrap();
        assert_eq!(event["task"]["status"], "failed");
    }
}

#[tokio::test(start_paused = true)]
async fn a_passing_failure_is_tried_once_more_and_then_left_to_lambda() {
    let cut = r#"{"successful": [{"identifier": "a", "ind"#;
    for failure in [
        Response::http(500, "{}"),
        Response::http(503, ""),
        Response::http(429, r#"{"errors":[{"errorType":"ThrottlingException"}]}"#),
        Response::http(200, cut),
        Response::http(200, "{}"),
        Response::Broken,
        outcomes(&[500]),
        outcomes(&[429]),
    ] {
        // The first attempts of both messages.
        let passing = Script::new([failure.clone(), failure.clone()], outcomes(&[0]));
        let summary = publish(&passing, None).await;
        assert_eq!(
            (summary.sent, summary.failed, summary.requests),
            (2, 0, 4),
            "{failure:?}"
        );
        let lasting = Script::new([], failure.clone());
        let summary = publish(&lasting, None).await;
        assert_eq!(
            (summary.sent, summary.failed, summary.requests),
            (0, 2, 4),
            "{failure:?}"
        );
        assert_eq!(summary.retry_from.as_deref(), Some("7"), "{failure:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_request_stays_unacknowledged_and_a_refused_message_is_skipped() {
    for status in [400, 401, 403, 404] {
        let script = Script::new([], Response::http(status, "no"));
        let summary = publish(&script, None).await;
        assert_eq!((summary.failed, summary.requests), (2, 2), "{status}");
        assert_eq!(summary.retry_from.as_deref(), Some("7"));
    }
    let script = Script::new([], outcomes(&[400]));
    let summary = publish(&script, None).await;
    assert_eq!(
        (summary.rejected, summary.failed, summary.requests),
        (2, 0, 2)
    );
    assert_eq!(summary.retry_from, None);
}

#[tokio::test(start_paused = true)]
async fn silence_does_not_outlast_the_invocation() {
    let script = Script::new([], Response::Never);
    let begun = Instant::now();
    let summary = publish(&script, Some(begun + Duration::from_secs(4))).await;
    assert!(
        begun.elapsed() <= Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!((summary.failed, summary.requests), (2, 2));
    assert_eq!(summary.retry_from.as_deref(), Some("7"));
    // Without a deadline, each attempt has its own.
    let begun = Instant::now();
    let summary = publish(&script, None).await;
    assert!(
        begun.elapsed() < Duration::from_secs(12),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(summary.failed, 2);
}
