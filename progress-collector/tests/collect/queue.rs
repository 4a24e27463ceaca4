//! Messages of queues: each is saved once, and only those that failed come again.

use std::sync::Arc;

use progress_collector::triggers::queue::Messages;
use progress_collector::{Collector, FunctionResponse, Parts, Trigger};
use serde_json::{Value, json};
use shared::model::TaskStatus;
use testkit::faults::{ErrorKind, Fault, Faults, Faulty};

use crate::harness::{Harness, START_MS, config, now};

/// A message with a number.
fn message(number: i64, body: &str) -> Value {
    json!({
        "messageId": number.to_string(), "body": body, "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:reports",
        "attributes": {"SentTimestamp": (START_MS + 1_000 * number).to_string()},
        "messageAttributes": {},
    })
}

fn of_group(mut message: Value, group: &str) -> Value {
    message["attributes"]["MessageGroupId"] = group.into();
    message
}

fn report(task: &str, current: u64) -> String {
    json!({"task_id": task, "status": "running", "progress": {"current": current, "total": 9}})
        .to_string()
}

/// Handles the messages. Returns the ids of those that must come again.
async fn handle(collector: &Collector, messages: &[Value]) -> Vec<String> {
    let messages = Messages::matches(&json!({"Records": messages}))
        .unwrap()
        .unwrap();
    let summary = collector.handle(&messages, now(), None).await.unwrap();
    let response = serde_json::to_value(FunctionResponse::from(summary)).unwrap();
    let failures = response["batchItemFailures"].as_array().unwrap().iter();
    failures
        .map(|failure| failure["itemIdentifier"].as_str().unwrap().to_owned())
        .collect()
}

async fn current(harness: &Harness, task: &str) -> Option<u64> {
    harness
        .task(task)
        .await
        .and_then(|task| task.progress.current)
}

#[tokio::test]
async fn a_message_is_one_report_however_often_and_in_whatever_order_it_comes() {
    let harness = Harness::new(10);
    let messages = [
        message(1, &report("import", 3)),
        message(2, &report("import", 5)),
    ];
    let mut revisions = Vec::new();
    for order in [[1, 0], [0, 1], [1, 1]] {
        let messages = order.map(|index| messages[index].clone());
        assert!(handle(&harness.collector(), &messages).await.is_empty());
        assert_eq!(current(&harness, "import").await, Some(5));
        revisions.push(harness.task("import").await.unwrap().revision);
    }
    revisions.dedup();
    assert_eq!(
        revisions.len(),
        1,
        "a message that comes again changes nothing"
    );
}

#[tokio::test]
async fn lines_belong_to_the_stream_the_group_or_the_queue() {
    let harness = Harness::new(10);
    let mut named = message(1, "[1/9] copying\n[2/9] copying");
    named["messageAttributes"]["stream"] = json!({"stringValue": "named", "dataType": "String"});
    let messages = [
        of_group(named, "group"),
        of_group(message(2, "[3/9] copying"), "group"),
        message(3, "[4/9] copying"),
    ];
    assert!(handle(&harness.collector(), &messages).await.is_empty());
    for (task, expected) in [("run:named", 2), ("run:group", 3), ("run:reports", 4)] {
        assert_eq!(current(&harness, task).await, Some(expected), "{task}");
    }
}

#[tokio::test]
async fn a_notification_of_sns_is_read_without_its_envelope() {
    let harness = Harness::new(10);
    let envelope = json!({"Type": "Notification", "Message": report("import", 3)}).to_string();
    assert!(
        handle(&harness.collector(), &[message(1, &envelope)])
            .await
            .is_empty()
    );
    assert_eq!(current(&harness, "import").await, Some(3));
}

#[tokio::test]
async fn what_can_not_be_read_comes_again_alone_and_is_counted() {
    let harness = Harness::new(10);
    let mut no_time = message(1, "[1/9] copying");
    no_time["attributes"]["SentTimestamp"] = "soon".into();
    let mut long = message(2, "[1/9] copying");
    long["messageAttributes"]["stream"] =
        json!({"stringValue": "x".repeat(513), "dataType": "String"});
    let messages = [
        no_time,
        long,
        message(3, " \n"),
        json!({"messageId": "4"}),
        message(5, &report("import", 3)),
    ];
    assert_eq!(
        handle(&harness.collector(), &messages).await,
        ["1", "2", "3", "4"]
    );
    assert_eq!(current(&harness, "import").await, Some(3));
    let messages = Messages::matches(&json!({"Records": messages}))
        .unwrap()
        .unwrap();
    let summary = harness
        .collector()
        .handle(&messages, now(), None)
        .await
        .unwrap();
    assert_eq!(summary.totals().messages_refused, 4);
}

#[tokio::test]
async fn in_a_group_what_follows_a_failure_waits_for_it() {
    let harness = Harness::new(10);
    let messages = [
        of_group(message(1, &report("a", 1)), "a"),
        of_group(message(2, " "), "a"),
        of_group(message(3, &report("a", 3)), "a"),
        of_group(message(4, &report("b", 4)), "b"),
    ];
    assert_eq!(handle(&harness.collector(), &messages).await, ["2", "3"]);
    assert_eq!(current(&harness, "a").await, Some(1));
    assert_eq!(current(&harness, "b").await, Some(4));
}

#[tokio::test]
async fn while_the_store_is_down_all_messages_come_again() {
    let harness = Harness::new(10);
    let parts = harness.parts();
    let faults = Faults::always(Fault::Error(ErrorKind::Unavailable));
    let tasks = Arc::new(Faulty::new(parts.tasks.clone(), faults));
    let broken = Collector::new(Parts { tasks, ..parts }, config());
    let messages = [
        message(1, &report("import", 3)),
        message(2, &report("import", 9)),
    ];
    assert_eq!(handle(&broken, &messages).await, ["1", "2"]);
    assert!(handle(&harness.collector(), &messages).await.is_empty());
    let task = harness.task("import").await.unwrap();
    assert_eq!(
        (task.progress.current, task.status),
        (Some(9), TaskStatus::Running)
    );
}
