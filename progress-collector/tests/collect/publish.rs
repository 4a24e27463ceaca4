//! Publishing, from writes to an embedded DynamoDB to the events: each transition is published
//! once, although records come twice, batches are split and requests fail.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use progress_collector::{Collector, PublishSummary, StreamRecords, Trigger as _};
use proptest::prelude::*;
use serde_json::{Value, json};
use shared::event_sink::{EventSink, EventSinkError, MOST_DETAIL_BYTES, MOST_EVENTS, TaskEvent};
use shared::model::{Task, TaskId, TaskStatus, Transition};
use shared::store::TaskStore;
use testkit::embedded_dynamodb::EmbeddedDynamoDb;
use testkit::event_sink::InMemoryEventSink;
use testkit::store::conformance::{moment, new_task, next_of};
use tokio::time::Instant;

use crate::harness::{Harness, now};
use crate::races::{block_on, config};
use crate::stream::{enable_stream, stream_records};

/// Divides the number of cases, because each case starts an embedded DynamoDB.
const CASES_DIVISOR: u32 = 40;
const TASKS: usize = 4;

/// A write of one of a few tasks.
#[derive(Debug, Clone)]
struct Write {
    task: usize,
    status: TaskStatus,
    /// Whether it starts a run. A write to a task that has ended always does.
    is_new_run: bool,
}

fn write() -> impl Strategy<Value = Write> {
    let parts = (
        0..TASKS,
        prop::sample::select(TaskStatus::ALL),
        prop::bool::weighted(0.1),
    );
    parts.prop_map(|(task, status, is_new_run)| Write {
        task,
        status,
        is_new_run,
    })
}

/// What a sink does with a request.
#[derive(Debug, Clone)]
enum Fault {
    None,
    /// The sink is unavailable.
    Unavailable,
    /// The sink refuses the request.
    Refused,
    /// The sink accepts the events, and the response is lost.
    ResponseLost,
    /// The sink accepts the events, and never responds.
    NoResponse,
    /// The sink fails the events whose bit in `failed` is set, and accepts the others.
    Partial {
        failed: u16,
        is_transient: bool,
    },
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        2 => Just(Fault::None),
        1 => Just(Fault::Unavailable),
        1 => Just(Fault::Refused),
        1 => Just(Fault::ResponseLost),
        1 => Just(Fault::NoResponse),
        3 => (any::<u16>(), any::<bool>())
            .prop_map(|(failed, is_transient)| Fault::Partial { failed, is_transient }),
    ]
}

/// A sink with one fault per request. After the last fault it accepts everything.
struct FaultySink {
    faults: Mutex<VecDeque<Fault>>,
    accepted: InMemoryEventSink,
}

impl FaultySink {
    fn new(faults: impl IntoIterator<Item = Fault>) -> Arc<Self> {
        Arc::new(Self {
            faults: Mutex::new(faults.into_iter().collect()),
            accepted: InMemoryEventSink::default(),
        })
    }
}

fn unavailable() -> EventSinkError {
    EventSinkError::Unavailable("as the test asked for".into())
}

fn refused() -> EventSinkError {
    EventSinkError::Refused("as the test asked for".into())
}

#[async_trait]
impl EventSink for FatefulSink {
    async fn send(
        &self,
        events: &[&TaskEvent],
    ) -> Result<Vec<Result<(), EventSinkError>>, EventSinkError> {
        let bytes = events.iter().map(|event| event.detail.len()).sum::<usize>();
        assert!(!events.is_empty() && events.len() <= MOST_EVENTS && bytes <= MOST_DETAIL_BYTES);
        let fault = self.faults.lock().unwrap().pop_front();
        match fault.unwrap_or(Fault::None) {
            Fault::None => self.taken.send(events).await,
            Fault::Unavailable => Err(unavailable()),
            Fault::Refused => Err(refused()),
            Fault::ResponseLost => {
                self.taken.send(events).await?;
                Err(unavailable())
            }
            Fault::NoResponse => {
                self.taken.send(events).await?;
                std::future::pending().await
            }
            Fault::Partial {
                failed,
                is_transient,
            } => {
                let mut outcomes = Vec::new();
                for (index, event) in events.iter().enumerate() {
                    if failed & (1 << index) == 0 {
                        outcomes.append(&mut self.taken.send(&[event]).await?);
                    } else if is_transient {
                        outcomes.push(Err(unavailable()));
                    } else {
                        outcomes.push(Err(refused()));
                    }
                }
                Ok(outcomes)
            }
        }
    }
}

/// How Lambda passes the next records.
#[derive(Debug, Clone)]
struct RecordBatch {
    size: usize,
    /// How many earlier records are passed again.
    overlap: usize,
    /// Whether the function is killed before Lambda receives the response.
    is_killed: bool,
}

fn batch() -> impl Strategy<Value = RecordBatch> {
    let parts = (1..12_usize, 0..4_usize, prop::bool::weighted(0.2));
    parts.prop_map(|(size, overlap, is_killed)| RecordBatch {
        size,
        overlap,
        is_killed,
    })
}

async fn publish(collector: &Collector, records: &[Value]) -> PublishSummary {
    let deadline = Instant::now() + Duration::from_secs(30);
    let records = records.to_vec();
    let trigger = StreamRecords { records };
    let summary = collector.handle(&trigger, now(), Some(deadline)).await;
    assert!(Instant::now() < deadline);
    summary.unwrap().published.unwrap()
}

/// Passes all records as Lambda does: first in `batches`, then in large batches, until no record is
/// left.
async fn publish_all(records: &[Value], batches: &[RecordBatch], sink: Arc<FaultySink>) {
    let collector = Harness::new(10).collector().with_event_sink(sink);
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
        let summary = publish(&collector, &records[start..end]).await;
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

/// The transitions of a schedule by task. Computed from the runs that have ended, not by the code
/// under test.
#[derive(Default)]
struct Expected {
    ended: BTreeSet<(TaskId, String)>,
    transitions: BTreeMap<TaskId, Vec<(u64, Transition)>>,
}

impl Expected {
    fn add(&mut self, previous: Option<&Task>, next: &Task) {
        let transition = match next.status {
            TaskStatus::Completed => Some(Transition::Completed),
            TaskStatus::Failed => Some(Transition::Failed),
            TaskStatus::Cancelled => Some(Transition::Cancelled),
            TaskStatus::Blocked => None,
            TaskStatus::Pending | TaskStatus::Running => previous
                .is_some_and(|previous| previous.status == TaskStatus::Blocked)
                .then_some(Transition::Unblocked),
        };
        let run = (next.task_id.clone(), next.run.clone());
        let is_new = !next.status.is_terminal() || self.ended.insert(run);
        if let Some(transition) = transition.filter(|_| is_new) {
            let transitions = self.transitions.entry(next.task_id.clone()).or_default();
            transitions.push((next.revision.0, transition));
        }
    }
}

/// Makes the writes of `schedule` on an embedded DynamoDB. Returns the stream's records and the
/// expected transitions.
async fn write_all(schedule: &[Write]) -> (Vec<Value>, Expected) {
    let embedded = EmbeddedDynamoDb::start().await.unwrap();
    enable_stream(&embedded).await;
    let store = embedded.tasks();
    let mut expected = Expected::default();
    let mut tasks: Vec<Option<Task>> = vec![None; TASKS];
    for (write, at_ms) in schedule.iter().zip(1..) {
        let previous = tasks[write.task].take();
        let next = match &previous {
            None => Task {
                status: write.status,
                ..new_task(&format!("task-{}", write.task))
            },
            Some(previous) => next_of(previous, |task| {
                // Terminal states are final within a run: only a new run can leave them.
                let reopens = previous.status.is_terminal() && previous.status != write.status;
                if write.is_new_run || reopens {
                    task.run = moment(at_ms).to_string();
                }
                task.status = write.status;
            }),
        };
        store.save(previous.as_ref(), &next, None).await.unwrap();
        expected.add(previous.as_ref(), &next);
        tasks[write.task] = Some(next);
    }
    (stream_records(&embedded), expected)
}

/// The events that the sink accepted, by task and without repetitions. A repeated event must be
/// identical.
fn accepted(sink: &FaultySink) -> BTreeMap<TaskId, Vec<(u64, Transition)>> {
    let mut known: BTreeMap<_, TaskEvent> = BTreeMap::new();
    let mut accepted: BTreeMap<TaskId, Vec<(u64, Transition)>> = BTreeMap::new();
    for event in sink.accepted.events() {
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

fn on_network<T>(future: impl Future<Output = T>) -> T {
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
        let undisturbed = FaultySink::new([]);
        block_on(publish_all(&records, &[], undisturbed.clone()));
        prop_assert_eq!(&accepted(&undisturbed), &expected.transitions);
        let total: usize = expected.transitions.values().map(Vec::len).sum();
        prop_assert_eq!(undisturbed.accepted.events().len(), total, "without faults, once");

        let disturbed = FaultySink::new(faults);
        block_on(publish_all(&records, &batches, disturbed.clone()));
        prop_assert_eq!(&accepted(&disturbed), &expected.transitions);
    }
}

fn sample() -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events/collector/stream.json");
    let event = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    StreamRecords::matches(&event).unwrap().unwrap().records
}

#[tokio::test(start_paused = true)]
async fn the_sample_event_has_a_completed_and_an_unblocked_task() {
    let sink = Arc::new(InMemoryEventSink::default());
    let collector = Harness::new(10).collector().with_event_sink(sink.clone());
    let summary = publish(&collector, &sample()).await;
    let expected = PublishSummary {
        records: 3,
        sent: 2,
        requests: 1,
        ..PublishSummary::default()
    };
    assert_eq!(summary, expected);
    let events = sink.events();
    let kinds: Vec<_> = events.iter().map(TaskEvent::detail_type).collect();
    assert_eq!(kinds, ["Task Completed", "Task Unblocked"]);
    let detail: Value = serde_json::from_str(&events[0].detail).unwrap();
    assert_eq!(detail["task"]["parts"]["Shop-Api"]["percentage"], 100);
}

#[tokio::test(start_paused = true)]
async fn without_an_event_sink_records_are_dropped() {
    let collector = Harness::new(10).collector();
    let summary = publish(&collector, &sample()).await;
    let expected = PublishSummary {
        records: 3,
        ..PublishSummary::default()
    };
    assert_eq!(summary, expected);
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_record_does_not_stop_the_others() {
    let sink = Arc::new(InMemoryEventSink::default());
    let collector = Harness::new(10).collector().with_event_sink(sink.clone());
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
    let summary = publish(&collector, &records).await;
    assert_eq!((summary.unreadable, summary.sent), (3, 2));
    assert_eq!(summary.retry_from, None);
}
