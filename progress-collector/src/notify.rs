//! Telling others of transitions: each record of the tasks table's stream is a write of a task, whoever made it.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::Value;
use shared::error::error_chain;
use shared::event_sink::{EventSink, EventSinkError, MOST_DETAIL_BYTES, MOST_EVENTS, TaskEvent};
use shared::retry::with_retries;
use shared::store::stream_record::{UnreadableRecord, read_stream_record};
use shared::view::Renderer;
use tokio::time::Instant;
use tracing::{error, warn};

use crate::collector::Collector;
use crate::summary::{EventsSummary, Summary};

/// What is left of an invocation's time for answering which records are to be handed over again.
const TIME_TO_ANSWER: Duration = Duration::from_secs(1);

/// An event, and the record that it is of.
#[derive(Debug)]
struct Outbound {
    sequence_number: String,
    event: TaskEvent,
}

/// Events that are sent at once.
type Portion<'a> = Vec<&'a Outbound>;

/// Why a portion was not delivered.
enum Undelivered<'a> {
    /// There is an event among these that will never be taken.
    Invalid(Portion<'a>, EventSinkError),
    /// From this one on events must be sent again.
    From(String),
}

/// How far the delivery of a portion is.
struct Delivery<'a> {
    pending: Portion<'a>,
    summary: EventsSummary,
}

impl Collector {
    /// Sends the events of those `records` that are transitions.
    ///
    /// Events of one task are sent in their order. Where one can't be delivered now, nothing after it is: the
    /// summary says from which record on Lambda has to hand all over again. One that can never be delivered, or
    /// read, holds up nobody: it is logged and counted.
    pub(crate) async fn notify(&self, records: &[Value], deadline: Option<Instant>) -> Summary {
        let mut summary = EventsSummary {
            records: count(records.len()),
            ..EventsSummary::default()
        };
        let Some(sink) = self.events.as_deref() else {
            return Summary::of_events(summary);
        };
        let renderer = Renderer::new(self.config.stale_after);
        let outbound = outbound(records, renderer, &mut summary);
        let total = count(outbound.len());
        let mut portions = portions(&outbound);
        while let Some(portion) = portions.pop_front() {
            match deliver(sink, portion, deadline, &mut summary).await {
                Ok(()) => {}
                // Which one it is shows when each is sent by itself.
                Err(Undelivered::Invalid(suspects, _)) if suspects.len() > 1 => {
                    for suspect in suspects.into_iter().rev() {
                        portions.push_front(vec![suspect]);
                    }
                }
                Err(Undelivered::Invalid(portion, error)) => {
                    for outbound in portion {
                        summary.rejected += 1;
                        reject(outbound, &error);
                    }
                }
                Err(Undelivered::From(sequence_number)) => {
                    summary.again_from = Some(sequence_number);
                    break;
                }
            }
        }
        summary.failed = total - summary.sent - summary.rejected;
        Summary::of_events(summary)
    }
}

/// The events that records call for, in their order.
fn outbound(records: &[Value], renderer: Renderer, summary: &mut EventsSummary) -> Vec<Outbound> {
    let mut first_unreadable: Option<UnreadableRecord> = None;
    let mut outbound = Vec::new();
    for record in records {
        let write = match read_stream_record(record) {
            Ok(write) => write,
            Err(unreadable) => {
                summary.unreadable += 1;
                first_unreadable.get_or_insert(unreadable);
                continue;
            }
        };
        let event = write.and_then(|write| TaskEvent::of(&write, renderer));
        outbound.extend(event.map(|event| Outbound {
            sequence_number: sequence_number(record),
            event,
        }));
    }
    if let Some(first) = first_unreadable {
        let (error, unreadable) = (error_chain(&first), summary.unreadable);
        error!(error, unreadable, "stream records can't be read");
    }
    outbound
}

/// The place of a record in its stream. Without one, which Lambda never hands over, it is empty: Lambda then takes
/// the whole batch as failed.
fn sequence_number(record: &Value) -> String {
    let number = record.pointer("/dynamodb/SequenceNumber");
    let number = number.and_then(Value::as_str);
    number.unwrap_or_default().to_owned()
}

/// Cuts events into portions that may be sent at once. No portion has two events of one task: a sink may take the
/// later and not the earlier one.
fn portions(outbound: &[Outbound]) -> VecDeque<Portion<'_>> {
    let mut portions: VecDeque<Portion<'_>> = VecDeque::new();
    let mut bytes = 0_usize;
    for next in outbound {
        let size = next.event.detail.len();
        let fits = |portion: &&mut Portion<'_>| {
            let mut tasks = portion.iter().map(|outbound| &outbound.event.task_id);
            portion.len() < MOST_EVENTS
                && bytes.saturating_add(size) <= MOST_DETAIL_BYTES
                && tasks.all(|task_id| *task_id != next.event.task_id)
        };
        if let Some(portion) = portions.back_mut().filter(fits) {
            portion.push(next);
            bytes += size;
        } else {
            portions.push_back(vec![next]);
            bytes = size;
        }
    }
    portions
}

/// Sends a portion, and again what was not taken of it, as long as that may help and there is time.
async fn deliver<'a>(
    sink: &dyn EventSink,
    portion: Portion<'a>,
    deadline: Option<Instant>,
    summary: &mut EventsSummary,
) -> Result<(), Undelivered<'a>> {
    let mut delivery = Delivery {
        pending: portion,
        summary: std::mem::take(summary),
    };
    let attempt = async || {
        let pending = delivery.pending.clone();
        delivery.summary.requests += 1;
        let events: Vec<_> = pending.iter().map(|outbound| &outbound.event).collect();
        let outcomes = sink.send(&events).await?;
        delivery.settle(&pending, outcomes)
    };
    let last_moment =
        deadline.map(|deadline| deadline.checked_sub(TIME_TO_ANSWER).unwrap_or(deadline));
    let retried = with_retries(last_moment, attempt, EventSinkError::is_transient).await;
    let Delivery {
        pending,
        summary: so_far,
    } = delivery;
    *summary = so_far;
    let Some(first) = pending.first() else {
        return Ok(());
    };
    match retried.outcome {
        Some(Err(error @ EventSinkError::Invalid(_))) => {
            return Err(Undelivered::Invalid(pending, error));
        }
        Some(Err(error)) => {
            let error = error_chain(&error);
            error!(
                error,
                events = pending.len(),
                "events can't be sent: they will be sent again"
            );
        }
        Some(Ok(())) | None => {
            let events = pending.len();
            warn!(events, "out of time: the events will be sent again");
        }
    }
    Err(Undelivered::From(first.sequence_number.clone()))
}

impl<'a> Delivery<'a> {
    /// Takes note of what has become of the `pending` events; what can be sent again stays pending.
    fn settle(
        &mut self,
        pending: &[&'a Outbound],
        outcomes: Vec<Result<(), EventSinkError>>,
    ) -> Result<(), EventSinkError> {
        self.pending.clear();
        let mut result = Ok(());
        for (outbound, outcome) in pending.iter().zip(outcomes) {
            match outcome {
                Ok(()) => self.summary.sent += 1,
                Err(error @ EventSinkError::Invalid(_)) => {
                    self.summary.rejected += 1;
                    reject(outbound, &error);
                }
                Err(error) => {
                    self.pending.push(outbound);
                    // If one of them may pass, it is worth another attempt.
                    if result.is_ok() || error.is_transient() {
                        result = Err(error);
                    }
                }
            }
        }
        result
    }
}

/// Says of an event that nobody will hear of it.
fn reject(outbound: &Outbound, error: &EventSinkError) {
    error!(
        error = error_chain(error),
        event_id = %outbound.event.id,
        task_id = %outbound.event.task_id,
        "an event is not taken as it is, and given up"
    );
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
