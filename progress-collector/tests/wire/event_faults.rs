//! Responses of EventBridge, and what happens to the events.

use std::sync::Arc;
use std::time::Duration;

use progress_collector::{
    BatchItemFailure, FunctionResponse, Invocation, PublishSummary, Publisher, Summary,
};
use serde_json::{Value, json};
use shared::model::Timestamp;
use testkit::store::memory::InMemoryStore;
use tokio::time::Instant;

use crate::scripted::{Request, Response, Script};

/// The lateness of timers that the tests allow.
const SLACK: Duration = Duration::from_millis(20);

/// A stream record of a task that failed.
pub(crate) fn record(task_id: &str, number: usize) -> Value {
    let image = |status: &str, revision: &str| {
        json!({
            "format": {"N": "3"}, "kind": {"S": "head"}, "task_id": {"S": task_id},
            "timestamp": {"N": "0"},
            "task_name": {"S": task_id}, "task_type": {"S": "build"}, "status": {"S": status},
            "run": {"S": "2026-11-21T09:30:00.000Z"}, "revision": {"N": revision},
            "created_at": {"S": "2026-11-21T09:30:00.000Z"},
            "updated_at": {"S": "2026-11-21T09:31:00.250Z"},
        })
    };
    json!({
        "eventName": "MODIFY", "eventSource": "aws:dynamodb",
        "dynamodb": {
            "Keys": {"task_id": {"S": task_id}, "timestamp": {"N": "0"}},
            "OldImage": image("running", "1"), "NewImage": image("failed", "2"),
            "SequenceNumber": number.to_string(),
        },
    })
}

/// Records of the tasks `t0`, `t1` and so on. Their sequence numbers are 0, 1 and so on.
fn records(number: usize) -> Vec<Value> {
    let numbers = 0..number;
    numbers
        .map(|number| record(&format!("t{number}"), number))
        .collect()
}

async fn publish(script: &Script, records: Vec<Value>, deadline: Option<Instant>) -> Summary {
    let tasks = Arc::new(InMemoryStore::new());
    let sink = Arc::new(script.event_sink());
    let publisher = Publisher::to_bus(tasks, Some(sink), Duration::from_secs(900));
    let now = Timestamp::now();
    publisher
        .follow(&records, Invocation { now, deadline })
        .await
}

fn published(summary: &Summary) -> &PublishSummary {
    summary.published.as_ref().unwrap()
}

/// The sequence numbers of the failed records, as the response names them.
fn failures(summary: &Summary) -> Vec<String> {
    let FunctionResponse::PartialBatch { failures } = summary.clone().into() else {
        panic!("expected a partial batch response")
    };
    let numbers = failures.into_iter();
    numbers.map(|BatchItemFailure { id }| id).collect()
}

/// The tasks of a request's events.
fn tasks(request: &Request) -> Vec<String> {
    let entries = request.body["Entries"].as_array().unwrap().iter();
    let detail = |entry: &Value| -> Value {
        serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap()
    };
    entries
        .map(|entry| {
            detail(entry)["task"]["task_id"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect()
}

/// A response with one entry per code: an event id for `""`, otherwise an error with this code.
fn entries(codes: &[&str]) -> Response {
    let entry = |code: &&str| match *code {
        "" => json!({"EventId": "11710aed-b79e-4468-a20b-bb3c0c3b4860"}),
        code => json!({"ErrorCode": code, "ErrorMessage": "injected by the test"}),
    };
    let failed = codes.iter().filter(|code| !code.is_empty()).count();
    let entries: Vec<_> = codes.iter().map(entry).collect();
    let body = json!({"FailedEntryCount": failed, "Entries": entries});
    Response::http(200, &body.to_string())
}

fn accepted(number: usize) -> Response {
    entries(&vec![""; number])
}

#[tokio::test(start_paused = true)]
async fn an_entry_has_all_fields_that_rules_match() {
    let script = Script::new([], accepted(1));
    let summary = publish(&script, records(1), None).await;
    assert_eq!(published(&summary).sent, 1);
    let requests = script.take_requests();
    let mut entry = requests[0].body["Entries"][0].clone();
    let detail: Value = serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap();
    entry["Detail"] = json!("checked below");
    let expected = json!({
        "Time": 1_795_253_460.25, "Source": "miyabi-progress", "DetailType": "Task Failed",
        "Resources": ["task/t0"], "EventBusName": "transitions", "Detail": "checked below",
    });
    assert_eq!(entry, expected);
    assert_eq!(detail["transition"], "failed");
    assert_eq!(detail["previous_status"], "running");
    assert_eq!(detail["task"]["stale"], false);
}

#[tokio::test(start_paused = true)]
async fn a_request_has_at_most_ten_events_and_one_per_task() {
    let script = Script::new([], accepted(10));
    let summary = publish(&script, records(23), None).await;
    let sent = script.take_requests();
    let sizes: Vec<_> = sent.iter().map(|request| tasks(request).len()).collect();
    assert_eq!(sizes, [10, 10, 3]);
    assert_eq!(published(&summary).sent, 23);

    let of_one_task = ["a", "b", "a", "a", "c"].into_iter().zip(0..);
    let records = of_one_task.map(|(task_id, number)| record(task_id, number));
    publish(&script, records.collect(), None).await;
    let sent: Vec<_> = script.take_requests().iter().map(tasks).collect();
    assert_eq!(sent, [vec!["a", "b"], vec!["a"], vec!["a", "c"]]);
}

#[tokio::test(start_paused = true)]
async fn a_transient_failure_is_tried_five_times_and_then_left_to_lambda() {
    for response in [
        Response::error(400, "ThrottlingException"),
        Response::error(500, "InternalException"),
        Response::http(503, ""),
        Response::http(200, "{"),
        Response::http(200, "{}"),
        entries(&["InternalFailure", ""]),
        entries(&["ThrottlingException", "AccessDeniedException"]),
        Response::Broken,
        Response::Never,
    ] {
        let script = Script::new([accepted(10)], response.clone());
        let summary = publish(&script, records(12), None).await;
        let requests = script.take_requests();
        assert_eq!(requests.len(), 6, "{response:?}");
        let unanswered = match response {
            Response::Never => Duration::from_secs(5),
            _ => Duration::ZERO,
        };
        for (pair, seconds) in requests[1..].windows(2).zip([1, 2, 4, 8]) {
            let wait = pair[1].at - pair[0].at - unanswered;
            let longest = Duration::from_secs(seconds);
            assert!(
                longest / 2 <= wait + SLACK && wait <= longest + SLACK,
                "{response:?}: {wait:?}"
            );
        }
        let counted = published(&summary);
        assert_eq!(counted.sent + counted.failed, 12, "{response:?}");
        assert!(counted.failed > 0 && counted.rejected == 0, "{response:?}");
        assert_eq!(failures(&summary), ["10"], "{response:?}");

        // After the failure the rest is sent.
        let script = Script::new([], accepted(10));
        let rest = records(12).split_off(10);
        let summary = publish(&script, rest, None).await;
        assert_eq!(failures(&summary), Vec::<String>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn a_permanent_failure_is_tried_once_and_stops_the_sending() {
    for response in [
        Response::error(400, "AccessDeniedException"),
        Response::error(400, "ResourceNotFoundException"),
        Response::error(403, "InvalidSignatureException"),
        Response::http(404, ""),
        entries(&[
            "NotAuthorizedForSourceException",
            "",
            "",
            "",
            "",
            "",
            "",
            "",
            "",
            "",
        ]),
    ] {
        let script = Script::new([], response.clone());
        let started = Instant::now();
        let summary = publish(&script, records(12), None).await;
        assert_eq!(started.elapsed(), Duration::ZERO, "{response:?}");
        assert_eq!(script.take_requests().len(), 1, "{response:?}");
        assert_eq!(failures(&summary), ["0"], "{response:?}");
        let counted = published(&summary);
        assert_eq!(counted.sent + counted.failed, 12, "{response:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_events_that_were_not_accepted_are_sent_again() {
    let script = Script::new(
        [
            entries(&["", "ThrottlingException", "", "InternalFailure"]),
            entries(&["InternalFailure", ""]),
        ],
        accepted(1),
    );
    let summary = publish(&script, records(4), None).await;
    let sent: Vec<_> = script.take_requests().iter().map(tasks).collect();
    let expected = [vec!["t0", "t1", "t2", "t3"], vec!["t1", "t3"], vec!["t1"]];
    assert_eq!(sent, expected);
    assert_eq!(failures(&summary), Vec::<String>::new());
    assert_eq!(
        (published(&summary).sent, published(&summary).requests),
        (4, 3)
    );
}

#[tokio::test(start_paused = true)]
async fn a_rejected_event_does_not_stop_the_others() {
    let script = Script::new([entries(&["", "MalformedDetail", ""])], accepted(1));
    let summary = publish(&script, records(3), None).await;
    assert_eq!(failures(&summary), Vec::<String>::new());
    let counted = published(&summary);
    assert_eq!((counted.sent, counted.rejected, counted.failed), (2, 1, 0));

    // A request fails because of one of its events, so each event is sent alone.
    let refusal = Response::error(400, "ValidationException");
    let script = Script::new(
        [refusal.clone(), accepted(1), refusal, accepted(1)],
        accepted(1),
    );
    let summary = publish(&script, records(3), None).await;
    let sent: Vec<_> = script.take_requests().iter().map(tasks).collect();
    let expected = [vec!["t0", "t1", "t2"], vec!["t0"], vec!["t1"], vec!["t2"]];
    assert_eq!(sent, expected);
    assert_eq!(failures(&summary), Vec::<String>::new());
    let counted = published(&summary);
    assert_eq!((counted.sent, counted.rejected, counted.failed), (2, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_missing_response_does_not_outlast_the_invocation() {
    let script = Script::new([accepted(10)], Response::Never);
    let started = Instant::now();
    let deadline = started + Duration::from_secs(8);
    let summary = publish(&script, records(12), Some(deadline)).await;
    assert!(started.elapsed() < Duration::from_secs(8));
    assert_eq!(failures(&summary), ["10"]);
    assert_eq!(published(&summary).failed, 2);
}
