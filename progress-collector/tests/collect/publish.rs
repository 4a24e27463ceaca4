//! Publishing, from writes to an embedded DynamoDB to the events: each transition is published
//! once, although records come twice, batches are split and requests fail.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::Path;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use progress_collector::{Invocation, PublishSummary, Publisher, StreamRecords};
use proptest::prelude::*;
use serde_json::{Value, json};
use shared::event_sink::{EventSink, MOST_EVENTS, TaskEvent};
use shared::fold::CallerEdit;
use shared::model::{Task, TaskId, TaskStatus, TaskType, Transition};
use shared::record::{CallerFields, TaskRecord};
use shared::store::TaskStore;
use testkit::embedded_dynamodb::EmbeddedDynamoDb;
use testkit::event_sink::InMemoryEventSink;
use testkit::faults::{ErrorKind, Fault, Faults, Faulty};
use testkit::store::conformance::moment;
use tokio::time::Instant;

use crate::harness::{Harness, now};
use crate::races::{block_on, config};
use crate::stream::{enable_stream, stream_records};

/// Divides the number of cases, because each case starts an embedded DynamoDB.
pub(crate) const CASES_DIVISOR: u32 = 40;
const TASKS: usize = 4;

/// A write of one of a few tasks. A write to a task that has ended begins a run.
#[derive(Debug, Clone)]
pub(crate) struct Write {
    task: usize,
    status: TaskStatus,
}

pub(crate) fn write() -> impl Strategy<Value = Write> {
    let parts = (0..TASKS, prop::sample::select(TaskStatus::ALL));
    parts.prop_map(|(task, status)| Write { task, status })
}

/// What a sink does with a batch of events.
#[derive(Debug, Clone)]
enum BatchFault {
    Whole(Option<Fault>),
    /// The sink fails the events whose bit in `failed` is set, and accepts the others.
    Partial {
        failed: u16,
        kind: ErrorKind,
    },
}

fn fault() -> impl Strategy<Value = BatchFault> {
    let kinds = [ErrorKind::Unavailable, ErrorKind::Refused];
    prop_oneof![
        2 => Just(BatchFault::Whole(None)),
        1 => Just(BatchFault::Whole(Some(Fault::Error(ErrorKind::Unavailable)))),
        1 => Just(BatchFault::Whole(Some(Fault::Error(ErrorKind::Refused)))),
        1 => Just(BatchFault::Whole(Some(Fault::AnswerLost))),
        1 => Just(BatchFault::Whole(Some(Fault::NeverAnswers))),
        3 => (any::<u16>(), prop::sample::select(kinds.to_vec()))
            .prop_map(|(failed, kind)| BatchFault::Partial { failed, kind }),
    ]
}

type FaultySink = Faulty<InMemoryEventSink>;

/// A sink with one fault per batch. After the last fault it accepts everything.
fn faulty_sink(batch_faults: impl IntoIterator<Item = BatchFault>) -> Arc<FaultySink> {
    let mut batch_faults: VecDeque<BatchFault> = batch_faults.into_iter().collect();
    let (mut present, mut index) = (BatchFault::Whole(None), 0);
    let faults = Faults::none();
    faults.disturb(move |call| {
        if call.operation == "send" {
            assert!((1..=MOST_EVENTS).contains(&call.subjects.len()));
            present = batch_faults.pop_front().unwrap_or(BatchFault::Whole(None));
            index = 0;
        } else {
            index += 1;
        }
        match present {
            BatchFault::Whole(fault) => fault.filter(|_| index == 0),
            BatchFault::Partial { failed, kind } => {
                let is_failed = index > 0 && failed & (1 << (index - 1)) != 0;
                is_failed.then_some(Fault::Error(kind))
            }
        }
    });
    Arc::new(Faulty::new(Arc::new(InMemoryEventSink::default()), faults))
}

/// How Lambda passes the next records.
#[derive(Debug, Clone)]
pub(crate) struct RecordBatch {
    size: usize,
    /// How many earlier records are passed again.
    overlap: usize,
    /// Whether the function is killed before Lambda receives the response.
    is_killed: bool,
}

pub(crate) fn batch() -> impl Strategy<Value = RecordBatch> {
    let parts = (1..12_usize, 0..4_usize, prop::bool::weighted(0.2));
    parts.prop_map(|(size, overlap, is_killed)| RecordBatch {
        size,
        overlap,
        is_killed,
    })
}

/// A publisher of the tasks of a harness.
fn publisher(tasks: Arc<dyn TaskStore>, sink: Option<Arc<dyn EventSink>>) -> Publisher {
    Publisher::to_bus(tasks, sink, Duration::from_secs(900))
}

fn to_sink(sink: Arc<FaultySink>) -> Publisher {
    publisher(Harness::new(10).parts().tasks.clone(), Some(sink))
}

pub(crate) async fn publish(publisher: &Publisher, records: &[Value]) -> PublishSummary {
    let deadline = Instant::now() + Duration::from_secs(30);
    let invocation = Invocation {
        now: now(),
        deadline: Some(deadline),
    };
    let summary = publisher.follow(records, invocation).await;
    assert!(Instant::now() < deadline);
    summary.published.unwrap()
}

/// Passes all records as Lambda does: first in `batches`, then in large batches, until no record is
/// left.
pub(crate) async fn publish_all(records: &[Value], batches: &[RecordBatch], publisher: &Publisher) {
    let sequence_number = |record: &Value| record["dynamodb"]["SequenceNumber"].clone();
    let large = RecordBatch {
        size: 100,
        overlap: 0,
        is_killed: false,
    };
    let mut batches = batches.iter();
    let mut next = 0;
    for _ in 0..1_000 {
        if next >= records.len() {
            return;
        }
        let batch = batches.next().unwrap_or(&large);
        let start = next.saturating_sub(batch.overlap);
        let end = (next + batch.size).min(records.len());
        let summary = publish(publisher, &records[start..end]).await;
        assert_eq!(summary.retry_from.is_some(), summary.failed > 0);
        if batch.is_killed {
            continue;
        }
        next = match summary.retry_from {
            None => end,
            Some(failed) => records
                .iter()
                .position(|record| sequence_number(record) == failed)
                .unwrap(),
        };
    }
    panic!("records were left after 1,000 batches");
}

/// The transitions of a schedule by task. Computed from what callers asked for, not by the code
/// under test.
#[derive(Default)]
pub(crate) struct Expected {
    transitions: BTreeMap<TaskId, Vec<(u64, Transition)>>,
}

impl Expected {
    /// Adds a write that gives a run this status. `previous` is the status of the same run before.
    fn add(&mut self, next: &Task, previous: Option<TaskStatus>, status: TaskStatus) {
        let transition = match status {
            _ if previous == Some(status) => None,
            TaskStatus::Completed => Some(Transition::Completed),
            TaskStatus::Failed => Some(Transition::Failed),
            TaskStatus::Ended => Some(Transition::Ended),
            TaskStatus::Cancelled => Some(Transition::Cancelled),
            TaskStatus::Blocked => Some(Transition::Blocked),
            TaskStatus::Pending | TaskStatus::Running => {
                (previous == Some(TaskStatus::Blocked)).then_some(Transition::Unblocked)
            }
        };
        if let Some(transition) = transition {
            let transitions = self.transitions.entry(next.task_id.clone()).or_default();
            transitions.push((next.revision.0, transition));
        }
    }
}

/// Makes the writes of `schedule` on an embedded DynamoDB. Returns the stream's records and the
/// expected transitions.
pub(crate) async fn write_all(schedule: &[Write]) -> (Vec<Value>, Expected) {
    let embedded = EmbeddedDynamoDb::start().await.unwrap();
    enable_stream(&embedded).await;
    let store = embedded.tasks();
    let mut expected = Expected::default();
    for (write, at_ms) in schedule.iter().zip(1..) {
        let task_id: TaskId = format!("task-{}", write.task).parse().unwrap();
        let stored = store.fetch_records(slice::from_ref(&task_id)).await;
        let stored = stored.unwrap().pop();
        let record = stored.unwrap_or_else(|| TaskRecord::new(task_id));
        let fields = CallerFields {
            priority: None,
            project_id: None,
            metadata: None,
        };
        let edit = CallerEdit {
            task_name: Some("Task".to_owned()),
            status: Some(write.status),
            ..CallerEdit::default()
        };
        let now = moment(at_ms);
        // A task that has ended goes on with another run.
        let open = record.live().filter(|task| !task.status.is_terminal());
        let edited = open.and_then(|task| edit.clone().of_task(task).ok());
        let change = match edited {
            Some(edit) => record.edit(edit, &fields, now),
            None if open.is_some() => continue,
            None => record.create(TaskType::Build, edit, &fields, now),
        };
        store.save(&change).await.unwrap();
        let previous = open.map(|task| task.status);
        expected.add(change.newest().unwrap(), previous, write.status);
    }
    (stream_records(&embedded), expected)
}

/// The events that the sink accepted, by task and without repetitions. A repeated event must be
/// identical.
fn accepted(sink: &FaultySink) -> BTreeMap<TaskId, Vec<(u64, Transition)>> {
    let mut known: BTreeMap<_, TaskEvent> = BTreeMap::new();
    let mut accepted: BTreeMap<TaskId, Vec<(u64, Transition)>> = BTreeMap::new();
    for event in sink.inner().events() {
        if let Some(known) = known.get(&event.id) {
            assert_eq!(*known, event);
            continue;
        }
        let detail: Value = serde_json::from_str(&event.detail).unwrap();
        assert_eq!(detail["event_id"], event.id.to_string());
        let revision = detail["task"]["revision"].as_u64().unwrap();
        let of_task = accepted.entry(event.task_id.clone()).or_default();
        of_task.push((revision, event.transition));
        known.insert(event.id, event);
    }
    accepted
}

pub(crate) fn on_network<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: (config().cases / CASES_DIVISOR).max(1), ..config() })]

    #[test]
    fn each_transition_is_published_once_and_in_order_despite_faults(
        schedule in prop::collection::vec(write(), 1..40),
        batches in prop::collection::vec(batch(), 0..20),
        faults in prop::collection::vec(fault(), 0..20),
    ) {
        let (records, expected) = on_network(write_all(&schedule));
        let undisturbed = faulty_sink([]);
        block_on(publish_all(&records, &[], &to_sink(undisturbed.clone())));
        prop_assert_eq!(&accepted(&undisturbed), &expected.transitions);
        let total: usize = expected.transitions.values().map(Vec::len).sum();
        prop_assert_eq!(undisturbed.inner().events().len(), total, "without faults, once");

        let disturbed = faulty_sink(faults);
        block_on(publish_all(&records, &batches, &to_sink(disturbed.clone())));
        prop_assert_eq!(&accepted(&disturbed), &expected.transitions);
    }
}

fn sample() -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events/publisher/stream.json");
    let event = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    StreamRecords::of(&event).unwrap().records
}

#[tokio::test(start_paused = true)]
async fn the_sample_event_has_a_completed_and_an_unblocked_task() {
    let sink = Arc::new(InMemoryEventSink::default());
    let publisher = publisher(Harness::new(10).parts().tasks.clone(), Some(sink.clone()));
    let summary = publish(&publisher, &sample()).await;
    let expected = PublishSummary {
        records: 4,
        expired: 1,
        sent: 2,
        requests: 1,
        ..PublishSummary::default()
    };
    assert_eq!(summary, expected);
    let events = sink.events();
    let kinds: Vec<_> = events.iter().map(TaskEvent::detail_type).collect();
    assert_eq!(kinds, ["Task Completed", "Task Unblocked"]);
    let detail: Value = serde_json::from_str(&events[0].detail).unwrap();
    assert_eq!(
        detail["task"]["run_id"],
        "cdk:deploy-42@20261121T100000.000Z"
    );
}

#[tokio::test(start_paused = true)]
async fn without_an_event_sink_only_expired_runs_matter() {
    let publisher = publisher(Harness::new(10).parts().tasks.clone(), None);
    let summary = publish(&publisher, &sample()).await;
    let expected = PublishSummary {
        records: 4,
        expired: 1,
        ..PublishSummary::default()
    };
    assert_eq!(summary, expected);
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_record_does_not_stop_the_others() {
    let sink = Arc::new(InMemoryEventSink::default());
    let publisher = publisher(Harness::new(10).parts().tasks.clone(), Some(sink.clone()));
    let mut records = sample();
    let mut damaged = records[0].clone();
    damaged["dynamodb"]["NewImage"]["revision"] = json!({"N": "many"});
    records.splice(
        0..0,
        [
            damaged,
            json!("rubbish"),
            json!({"eventSource": "aws:dynamodb"}),
        ],
    );
    let summary = publish(&publisher, &records).await;
    assert_eq!((summary.unreadable, summary.sent), (3, 2));
    assert_eq!(summary.retry_from, None);
}

#[tokio::test(start_paused = true)]
async fn an_expired_run_that_cannot_be_subtracted_now_is_tried_again() {
    let harness = Harness::new(10);
    let faults = Faults::none();
    faults.disturb(|call| {
        let is_expiry = call.operation == "subtract_expired";
        is_expiry.then_some(Fault::Error(ErrorKind::Unavailable))
    });
    let down = Faulty::new(harness.parts().tasks.clone(), faults);
    let sink = Arc::new(InMemoryEventSink::default());
    let publisher = publisher(Arc::new(down), Some(sink.clone()));
    let summary = publish(&publisher, &sample()).await;
    assert_eq!(
        (summary.sent, summary.expired),
        (2, 0),
        "the events before it are sent"
    );
    assert_eq!(
        summary.retry_from.as_deref(),
        Some("100000000000000000000004")
    );
}
