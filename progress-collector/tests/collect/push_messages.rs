//! Live push, from writes to an embedded DynamoDB to the messages: whatever fails, subscribers get the
//! newest state of each run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use progress_collector::{PublishSummary, PublishTarget, Publisher};
use proptest::prelude::*;
use serde_json::{Value, json};
use shared::push_sink::{Channel, PushMessage};
use shared::store::TaskStore;
use shared::store::stream_record::read_written_head;
use testkit::faults::{ErrorKind, Fault, Faults, Faulty};
use testkit::push_sink::InMemoryPushSink;
use testkit::store::conformance::{new_task, save};
use testkit::store::memory::InMemoryStore;

use crate::publish::{CASES_DIVISOR, batch, on_network, publish, publish_all, write, write_all};
use crate::races::{block_on, config};

type FaultySink = Faulty<InMemoryPushSink>;

fn sink(faults: &Faults) -> Arc<FaultySink> {
    Arc::new(Faulty::new(
        Arc::new(InMemoryPushSink::default()),
        faults.clone(),
    ))
}

fn publisher(tasks: Arc<dyn TaskStore>, sink: Arc<FaultySink>) -> Publisher {
    Publisher::to_push(tasks, sink, Duration::from_secs(900))
}

/// What a subscriber of a channel knows at the end, if it ignores what is older than what it has: the
/// revision of each run, and whether the run exists.
fn known(messages: &[PushMessage], is_list: bool) -> BTreeMap<String, (u64, bool)> {
    let mut known: BTreeMap<String, (u64, bool)> = BTreeMap::new();
    for message in messages {
        if (message.channel == Channel::Tasks) != is_list {
            continue;
        }
        let event: Value = serde_json::from_str(&message.event).unwrap();
        let (kind, run) = event.as_object().unwrap().iter().next().unwrap();
        let revision = run["revision"].as_u64().unwrap();
        let of_run = known
            .entry(run["run_id"].as_str().unwrap().to_owned())
            .or_default();
        if of_run.0 <= revision {
            *of_run = (revision, kind != "removed");
        }
    }
    known
}

/// The same, of the stream.
fn stored(records: &[Value]) -> BTreeMap<String, (u64, bool)> {
    let mut stored = BTreeMap::new();
    for record in records {
        if let Some(written) = read_written_head(record).unwrap() {
            let run_id = written.head.task.run_id().to_string();
            let is_live = written.head.live().is_some();
            stored.insert(run_id, (written.head.task.revision.0, is_live));
        }
    }
    stored
}

fn fault() -> impl Strategy<Value = Option<Fault>> {
    prop_oneof![
        3 => Just(None),
        2 => Just(Some(Fault::Error(ErrorKind::Unavailable))),
        1 => Just(Some(Fault::AnswerLost)),
        1 => Just(Some(Fault::NeverAnswers)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: (config().cases / CASES_DIVISOR).max(1), ..config() })]

    #[test]
    fn subscribers_know_the_newest_state_of_each_run_despite_faults(
        schedule in prop::collection::vec(write(), 1..40),
        batches in prop::collection::vec(batch(), 0..20),
        sink_faults in prop::collection::vec(fault(), 0..40),
    ) {
        let (records, _) = on_network(write_all(&schedule));
        let faults = Faults::none();
        let mut sink_faults = sink_faults.into_iter();
        faults.disturb(move |_| sink_faults.next().flatten());
        let sink = sink(&faults);
        let publisher = publisher(Arc::new(InMemoryStore::new()), sink.clone());
        block_on(publish_all(&records, &batches, &publisher));
        let messages = sink.inner().messages();
        let stored = stored(&records);
        prop_assert_eq!(&known(&messages, true), &stored);
        prop_assert_eq!(&known(&messages, false), &stored);
    }
}

/// A record of the write of a run, with this revision.
fn record(task_id: &str, revision: u64, more: &Value) -> Value {
    let mut image = json!({
        "format": {"N": "3"}, "kind": {"S": "head"}, "task_id": {"S": task_id},
        "timestamp": {"N": "0"}, "task_name": {"S": task_id}, "task_type": {"S": "build"},
        "status": {"S": "running"}, "run": {"S": "2026-11-21T09:30:00.000Z"},
        "revision": {"N": revision.to_string()},
        "created_at": {"S": "2026-11-21T09:30:00.000Z"},
        "updated_at": {"S": "2026-11-21T09:31:00.250Z"},
    });
    let image_members = image.as_object_mut().unwrap();
    image_members.extend(more.as_object().unwrap().clone());
    json!({
        "eventName": "INSERT", "eventSource": "aws:dynamodb",
        "dynamodb": {
            "Keys": {"task_id": {"S": task_id}, "timestamp": {"N": "0"}},
            "NewImage": image, "SequenceNumber": format!("{task_id}-{revision}"),
        },
    })
}

#[tokio::test(start_paused = true)]
async fn only_the_newest_state_in_a_batch_is_sent() {
    let sink = sink(&Faults::none());
    let publisher = publisher(Arc::new(InMemoryStore::new()), sink.clone());
    let records = [
        record("a", 1, &json!({})),
        record("b", 1, &json!({})),
        record("a", 2, &json!({})),
        json!("rubbish"),
    ];
    let expected = PublishSummary {
        target: PublishTarget::Push,
        records: 4,
        unreadable: 1,
        sent: 4,
        requests: 3, // one for the list, one for each task
        ..PublishSummary::default()
    };
    assert_eq!(publish(&publisher, &records).await, expected);
    let known = known(&sink.inner().messages(), true);
    let revisions: Vec<_> = known.values().map(|(revision, _)| *revision).collect();
    assert_eq!(revisions, [2, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_detail_comes_from_the_store() {
    let store = Arc::new(InMemoryStore::new());
    let mut task = new_task("a");
    let part = serde_json::from_value(json!({"status": "running"})).unwrap();
    task.parts.insert("Stack".to_owned(), part);
    save(&*store, None, &task).await.unwrap();
    let faults = Faults::none();
    let down = Arc::new(Faulty::new(store, faults.clone()));
    let sink = sink(&Faults::none());
    let publisher = publisher(down, sink.clone());
    let run = json!({"S": task.run});
    let records = [
        record("b", 1, &json!({})),
        record("a", 1, &json!({"detail_revision": {"N": "1"}, "run": run})),
    ];
    faults.fail_always(Fault::Error(ErrorKind::Unavailable));
    let summary = publish(&publisher, &records).await;
    assert_eq!((summary.sent, summary.failed), (2, 1), "the other task");
    assert_eq!(summary.retry_from.as_deref(), Some("a-1"));
    faults.clear();
    assert_eq!(publish(&publisher, &records[1..]).await.sent, 2);
    let messages = sink.inner().messages();
    for message in messages
        .iter()
        .filter(|message| message.event.contains("\"a\""))
    {
        assert!(message.event.contains("\"Stack\""), "{}", message.event);
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_is_tried_twice_and_a_refused_one_is_skipped() {
    let faults = Faults::none();
    let sink = sink(&faults);
    let publisher = publisher(Arc::new(InMemoryStore::new()), sink.clone());
    let records = [record("a", 1, &json!({})), record("b", 1, &json!({}))];
    let fail_first = |count: usize, fault: Fault| {
        let mut left = count;
        faults.disturb(move |call| {
            let is_list = call.operation == "send_one" && call.is_about("/progress/tasks");
            let fails = is_list && left > 0;
            left -= usize::from(fails);
            fails.then_some(fault)
        });
    };
    let unavailable = Fault::Error(ErrorKind::Unavailable);
    fail_first(1, unavailable);
    let summary = publish(&publisher, &records).await;
    assert_eq!((summary.sent, summary.failed, summary.requests), (4, 0, 4));
    fail_first(3, unavailable); // both, then the first one again
    let summary = publish(&publisher, &records).await;
    assert_eq!((summary.sent, summary.failed, summary.requests), (3, 1, 4));
    assert_eq!(summary.retry_from.as_deref(), Some("a-1"));
    fail_first(1, Fault::Error(ErrorKind::Refused));
    let summary = publish(&publisher, &records).await;
    assert_eq!((summary.sent, summary.rejected, summary.failed), (3, 1, 0));
    assert_eq!(summary.retry_from, None);
}
