//! What EventBridge may answer, and what becomes of the events.

use std::sync::Arc;
use std::time::Duration;

use progress_collector::{Answer as Answered, EventsSummary, RecordFailure, Summary, Trigger};
use serde_json::{Value, json};
use shared::log_parser::LogFormat;
use shared::model::Timestamp;
use testkit::log_source::InMemoryLogSource;
use tokio::time::Instant;

use crate::parts::World;
use crate::scripted::{Answer, Request, Script};

/// What timers may be late by.
const SLACK: Duration = Duration::from_millis(20);

/// The record of a task that has failed.
fn record(task_id: &str, number: usize) -> Value {
    let image = |status: &str, revision: &str| {
        json!({
            "format": {"N": "1"}, "task_id": {"S": task_id}, "timestamp": {"N": "0"},
            "task_name": {"S": task_id}, "task_type": {"S": "build"}, "status": {"S": status},
            "run": {"S": "2026-11-21T09:30:00.000Z"}, "revision": {"N": revision},
            "created_at": {"S": "2026-11-21T09:30:00.000Z"},
            "updated_at": {"S": format!("2026-11-21T09:31:00.250Z#{task_id}")},
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

/// Records of tasks `t0`, `t1` and so on, with sequence numbers of the same numbers.
fn records(number: usize) -> Vec<Value> {
    let numbers = 0..number;
    numbers
        .map(|number| record(&format!("t{number}"), number))
        .collect()
}

async fn notify(script: &Script, records: Vec<Value>, deadline: Option<Instant>) -> Summary {
    let logs = Arc::new(InMemoryLogSource::new(1));
    let world = World::reading(logs, &[("/miyabi/cdk", LogFormat::CDK)]);
    let collector = world.into_collector();
    let collector = collector.with_event_sink(Arc::new(script.event_sink()));
    let trigger = Trigger::Stream(records);
    let summary = collector.handle(trigger, Timestamp::now(), deadline);
    summary.await.unwrap()
}

fn events(summary: &Summary) -> &EventsSummary {
    summary.events.as_ref().unwrap()
}

/// The records that Lambda is told to hand over again.
fn failures(summary: &Summary) -> Vec<String> {
    let Answered::Records { failures } = Answered::of(summary.clone()) else {
        panic!("expected an answer to records")
    };
    let numbers = failures.into_iter();
    numbers
        .map(|RecordFailure { sequence_number }| sequence_number)
        .collect()
}

/// The tasks that a request tells of.
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

/// An answer that has an event's id for each `""`, and otherwise an error of this code.
fn entries(codes: &[&str]) -> Answer {
    let entry = |code: &&str| match *code {
        "" => json!({"EventId": "11710aed-b79e-4468-a20b-bb3c0c3b4860"}),
        code => json!({"ErrorCode": code, "ErrorMessage": "as the test asked for"}),
    };
    let failed = codes.iter().filter(|code| !code.is_empty()).count();
    let entries: Vec<_> = codes.iter().map(entry).collect();
    let body = json!({"FailedEntryCount": failed, "Entries": entries});
    Answer::http(200, &body.to_string())
}

fn taken(number: usize) -> Answer {
    entries(&vec![""; number])
}

#[tokio::test(start_paused = true)]
async fn an_entry_has_all_that_rules_match() {
    let script = Script::new([], taken(1));
    let summary = notify(&script, records(1), None).await;
    assert_eq!(events(&summary).sent, 1);
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
async fn at_most_ten_events_go_at_once_and_two_of_one_task_never() {
    let script = Script::new([], taken(10));
    let summary = notify(&script, records(23), None).await;
    let sent = script.take_requests();
    let sizes: Vec<_> = sent.iter().map(|request| tasks(request).len()).collect();
    assert_eq!(sizes, [10, 10, 3]);
    assert_eq!(events(&summary).sent, 23);

    let of_one_task = ["a", "b", "a", "a", "c"].into_iter().zip(0..);
    let records = of_one_task.map(|(task_id, number)| record(task_id, number));
    notify(&script, records.collect(), None).await;
    let sent: Vec<_> = script.take_requests().iter().map(tasks).collect();
    assert_eq!(sent, [vec!["a", "b"], vec!["a"], vec!["a", "c"]]);
}

#[tokio::test(start_paused = true)]
async fn what_may_pass_is_tried_five_times_and_then_handed_over_again_from_there() {
    for answer in [
        Answer::error(400, "ThrottlingException"),
        Answer::error(500, "InternalException"),
        Answer::http(503, ""),
        Answer::http(200, "{"),
        Answer::http(200, "{}"),
        entries(&["InternalFailure", ""]),
        entries(&["ThrottlingException", "AccessDeniedException"]),
        Answer::Broken,
        Answer::Silence,
    ] {
        let script = Script::new([taken(10)], answer.clone());
        let summary = notify(&script, records(12), None).await;
        let requests = script.take_requests();
        assert_eq!(requests.len(), 6, "{answer:?}");
        let silence = match answer {
            Answer::Silence => Duration::from_secs(5),
            _ => Duration::ZERO,
        };
        for (pair, seconds) in requests[1..].windows(2).zip([1, 2, 4, 8]) {
            let wait = pair[1].at - pair[0].at - silence;
            let longest = Duration::from_secs(seconds);
            assert!(
                longest / 2 <= wait + SLACK && wait <= longest + SLACK,
                "{answer:?}: {wait:?}"
            );
        }
        let counted = events(&summary);
        assert_eq!(counted.sent + counted.failed, 12, "{answer:?}");
        assert!(counted.failed > 0 && counted.rejected == 0, "{answer:?}");
        assert_eq!(failures(&summary), ["10"], "{answer:?}");

        // Once it has passed, the rest is sent.
        let script = Script::new([], taken(10));
        let rest = records(12).split_off(10);
        let summary = notify(&script, rest, None).await;
        assert_eq!(failures(&summary), Vec::<String>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn what_will_not_pass_is_tried_once_and_nothing_after_it_is_sent() {
    for answer in [
        Answer::error(400, "AccessDeniedException"),
        Answer::error(400, "ResourceNotFoundException"),
        Answer::error(403, "InvalidSignatureException"),
        Answer::http(404, ""),
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
        let script = Script::new([], answer.clone());
        let started = Instant::now();
        let summary = notify(&script, records(12), None).await;
        assert_eq!(started.elapsed(), Duration::ZERO, "{answer:?}");
        assert_eq!(script.take_requests().len(), 1, "{answer:?}");
        assert_eq!(failures(&summary), ["0"], "{answer:?}");
        let counted = events(&summary);
        assert_eq!(counted.sent + counted.failed, 12, "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_what_was_not_taken_is_sent_again() {
    let script = Script::new(
        [
            entries(&["", "ThrottlingException", "", "InternalFailure"]),
            entries(&["InternalFailure", ""]),
        ],
        taken(1),
    );
    let summary = notify(&script, records(4), None).await;
    let sent: Vec<_> = script.take_requests().iter().map(tasks).collect();
    let expected = [vec!["t0", "t1", "t2", "t3"], vec!["t1", "t3"], vec!["t1"]];
    assert_eq!(sent, expected);
    assert_eq!(failures(&summary), Vec::<String>::new());
    assert_eq!((events(&summary).sent, events(&summary).requests), (4, 3));
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_never_taken_holds_up_nobody() {
    let script = Script::new([entries(&["", "MalformedDetail", ""])], taken(1));
    let summary = notify(&script, records(3), None).await;
    assert_eq!(failures(&summary), Vec::<String>::new());
    let counted = events(&summary);
    assert_eq!((counted.sent, counted.rejected, counted.failed), (2, 1, 0));

    // A request that is refused for one of its events: each is sent by itself.
    let refusal = Answer::error(400, "ValidationException");
    let script = Script::new([refusal.clone(), taken(1), refusal, taken(1)], taken(1));
    let summary = notify(&script, records(3), None).await;
    let sent: Vec<_> = script.take_requests().iter().map(tasks).collect();
    let expected = [vec!["t0", "t1", "t2"], vec!["t0"], vec!["t1"], vec!["t2"]];
    assert_eq!(sent, expected);
    assert_eq!(failures(&summary), Vec::<String>::new());
    let counted = events(&summary);
    assert_eq!((counted.sent, counted.rejected, counted.failed), (2, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn silence_does_not_outlast_the_invocation() {
    let script = Script::new([taken(10)], Answer::Silence);
    let started = Instant::now();
    let deadline = started + Duration::from_secs(8);
    let summary = notify(&script, records(12), Some(deadline)).await;
    assert!(started.elapsed() < Duration::from_secs(8));
    assert_eq!(failures(&summary), ["10"]);
    assert_eq!(events(&summary).failed, 2);
}
