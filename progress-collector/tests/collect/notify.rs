//! What is told to others, from the writes of real stores to the events: each transition once, whatever is handed over
//! twice, cut in two or fails on the way.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use progress_collector::{Collector, EventsSummary, Trigger, parse_trigger};
use proptest::prelude::*;
use serde_json::{Value, json};
use shared::event_sink::{EventSink, EventSinkError, MOST_DETAIL_BYTES, MOST_EVENTS, TaskEvent};
use shared::model::{Task, TaskId, TaskStatus, Transition};
use shared::store::TaskStore;
use testkit::embedded_dynamodb::EmbeddedDynamoDb;
use testkit::event_sink::InMemoryEventSink;
use testkit::store::conformance::{moment, new_task, next_of};
use tokio::time::Instant;

use crate::races::{block_on, config};
use crate::stream::{enable_stream, stream_records};
use crate::world::{World, now};

/// Of so many cases of the other properties one is run: each is on an embedded DynamoDB.
const CASES_A_SAMPLE: u32 = 40;
const TASKS: usize = 4;

/// A write of one of a few tasks.
#[derive(Debug, Clone)]
struct Write {
    task: usize,
    status: TaskStatus,
    /// Whether it begins a run, as a write to a task that has ended always does.
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
enum Fate {
    Taken,
    /// As a whole, for now.
    Unavailable,
    /// As a whole, for good.
    Refused,
    /// It is taken, and the answer is lost.
    AnswerLost,
    /// It is taken, and the answer never comes.
    Silence,
    /// The events whose bit is not set are taken; the others are not, for now or for good.
    InPart {
        failed: u16,
        may_pass: bool,
    },
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        2 => Just(Fate::Taken),
        1 => Just(Fate::Unavailable),
        1 => Just(Fate::Refused),
        1 => Just(Fate::AnswerLost),
        1 => Just(Fate::Silence),
        3 => (any::<u16>(), any::<bool>()).prop_map(|(failed, may_pass)| Fate::InPart { failed, may_pass }),
    ]
}

/// A sink that has its days, and takes everything once they are over.
struct FatefulSink {
    fates: Mutex<VecDeque<Fate>>,
    taken: InMemoryEventSink,
}

impl FatefulSink {
    fn new(fates: impl IntoIterator<Item = Fate>) -> Arc<Self> {
        Arc::new(Self {
            fates: Mutex::new(fates.into_iter().collect()),
            taken: InMemoryEventSink::default(),
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
        let fate = self.fates.lock().unwrap().pop_front();
        match fate.unwrap_or(Fate::Taken) {
            Fate::Taken => self.taken.send(events).await,
            Fate::Unavailable => Err(unavailable()),
            Fate::Refused => Err(refused()),
            Fate::AnswerLost => {
                self.taken.send(events).await?;
                Err(unavailable())
            }
            Fate::Silence => {
                self.taken.send(events).await?;
                std::future::pending().await
            }
            Fate::InPart { failed, may_pass } => {
                let mut outcomes = Vec::new();
                for (index, event) in events.iter().enumerate() {
                    if failed & (1 << index) == 0 {
                        outcomes.append(&mut self.taken.send(&[event]).await?);
                    } else if may_pass {
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

/// How Lambda hands over some of the next records.
#[derive(Debug, Clone)]
struct Batch {
    size: usize,
    /// How many that were handed over already come again.
    overlap: usize,
    /// Whether the function dies before Lambda has its answer.
    dies: bool,
}

fn batch() -> impl Strategy<Value = Batch> {
    let parts = (1..12_usize, 0..4_usize, prop::bool::weighted(0.2));
    parts.prop_map(|(size, overlap, dies)| Batch {
        size,
        overlap,
        dies,
    })
}

async fn notify(collector: &Collector, records: &[Value]) -> EventsSummary {
    let deadline = Instant::now() + Duration::from_secs(30);
    let trigger = Trigger::Stream(records.to_vec());
    let summary = collector.handle(trigger, now(), Some(deadline)).await;
    assert!(Instant::now() < deadline);
    summary.unwrap().events.unwrap()
}

/// Hands over all records as Lambda does, by `batches` first and then by large ones, until none is left.
async fn hand_over(records: &[Value], batches: &[Batch], sink: Arc<FatefulSink>) {
    let collector = World::new(10).collector().with_event_sink(sink);
    let sequence_number = |record: &Value| record["dynamodb"]["SequenceNumber"].clone();
    let calm = Batch {
        size: 100,
        overlap: 0,
        dies: false,
    };
    let mut batches = batches.iter();
    let mut next = 0;
    for _ in 0..1_000 {
        if next >= records.len() {
            return;
        }
        let batch = batches.next().unwrap_or(&calm);
        let start = next.saturating_sub(batch.overlap);
        let end = (next + batch.size).min(records.len());
        let summary = notify(&collector, &records[start..end]).await;
        assert_eq!(summary.again_from.is_some(), summary.failed > 0);
        if batch.dies {
            continue;
        }
        next = match summary.again_from {
            None => end,
            Some(failed) => records
                .iter()
                .position(|record| sequence_number(record) == failed)
                .unwrap(),
        };
    }
    panic!("the records are handed over for ever");
}

/// The transitions of a schedule, by task, told without the rule under test: by the runs that have ended.
#[derive(Default)]
struct Expected {
    ended: BTreeSet<(TaskId, String)>,
    transitions: BTreeMap<TaskId, Vec<(u64, Transition)>>,
}

impl Expected {
    fn note(&mut self, previous: Option<&Task>, next: &Task) {
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
        let is_news = !next.status.is_terminal() || self.ended.insert(run);
        if let Some(transition) = transition.filter(|_| is_news) {
            let told = self.transitions.entry(next.task_id.clone()).or_default();
            told.push((next.revision.0, transition));
        }
    }
}

/// Makes the writes of `schedule` on an embedded DynamoDB: the records of its stream, and what they should tell.
async fn written(schedule: &[Write]) -> (Vec<Value>, Expected) {
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
                // Only a later run leaves an end behind; within a run an end stays what it is.
                let reopens = previous.status.is_terminal() && previous.status != write.status;
                if write.is_new_run || reopens {
                    task.run = moment(at_ms).to_string();
                }
                task.status = write.status;
            }),
        };
        store.save(previous.as_ref(), &next, None).await.unwrap();
        expected.note(previous.as_ref(), &next);
        tasks[write.task] = Some(next);
    }
    (stream_records(&embedded), expected)
}

/// What was taken, by task, each event once; an event that came again must be the same.
fn told(sink: &FatefulSink) -> BTreeMap<TaskId, Vec<(u64, Transition)>> {
    let mut known: BTreeMap<_, TaskEvent> = BTreeMap::new();
    let mut told: BTreeMap<TaskId, Vec<(u64, Transition)>> = BTreeMap::new();
    for event in sink.taken.events() {
        if let Some(known) = known.get(&event.id) {
            assert_eq!(*known, event);
            continue;
        }
        let detail: Value = serde_json::from_str(&event.detail).unwrap();
        assert_eq!(detail["event_id"], event.id.to_string());
        let revision = detail["task"]["revision"].as_u64().unwrap();
        let of_task = told.entry(event.task_id.clone()).or_default();
        of_task.push((revision, event.transition));
        known.insert(event.id, event);
    }
    told
}

fn on_network<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: (config().cases / CASES_A_SAMPLE).max(1), ..config() })]

    #[test]
    fn each_transition_is_one_event_in_the_order_of_its_task_whatever_fails(
        schedule in prop::collection::vec(write(), 1..40),
        batches in prop::collection::vec(batch(), 0..20),
        fates in prop::collection::vec(fate(), 0..20),
    ) {
        let (records, expected) = on_network(written(&schedule));
        let undisturbed = FatefulSink::new([]);
        block_on(hand_over(&records, &[], undisturbed.clone()));
        prop_assert_eq!(&told(&undisturbed), &expected.transitions);
        let total: usize = expected.transitions.values().map(Vec::len).sum();
        prop_assert_eq!(undisturbed.taken.events().len(), total, "without faults, once");

        let disturbed = FatefulSink::new(fates);
        block_on(hand_over(&records, &batches, disturbed.clone()));
        prop_assert_eq!(&told(&disturbed), &expected.transitions);
    }
}

fn sample() -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events/collector/stream.json");
    let event = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let Ok(Trigger::Stream(records)) = parse_trigger(&event) else {
        panic!("expected records")
    };
    records
}

#[tokio::test(start_paused = true)]
async fn the_sample_has_an_end_and_the_end_of_a_wait() {
    let sink = Arc::new(InMemoryEventSink::default());
    let collector = World::new(10).collector().with_event_sink(sink.clone());
    let summary = notify(&collector, &sample()).await;
    let expected = EventsSummary {
        records: 3,
        sent: 2,
        requests: 1,
        ..EventsSummary::default()
    };
    assert_eq!(summary, expected);
    let events = sink.events();
    let kinds: Vec<_> = events.iter().map(TaskEvent::detail_type).collect();
    assert_eq!(kinds, ["Task Completed", "Task Unblocked"]);
    let detail: Value = serde_json::from_str(&events[0].detail).unwrap();
    assert_eq!(detail["task"]["parts"]["Shop-Api"]["percentage"], 100);
}

#[tokio::test(start_paused = true)]
async fn without_a_sink_records_are_taken_and_nothing_is_sent() {
    let collector = World::new(10).collector();
    let summary = notify(&collector, &sample()).await;
    let expected = EventsSummary {
        records: 3,
        ..EventsSummary::default()
    };
    assert_eq!(summary, expected);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_can_not_be_read_holds_up_nobody() {
    let sink = Arc::new(InMemoryEventSink::default());
    let collector = World::new(10).collector().with_event_sink(sink.clone());
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
    let summary = notify(&collector, &records).await;
    assert_eq!((summary.unreadable, summary.sent), (3, 2));
    assert_eq!(summary.again_from, None);
}
