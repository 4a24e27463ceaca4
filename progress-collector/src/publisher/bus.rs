//! Publishing to the event bus: expired runs leave the metrics, and transitions are published, one
//! event for each.
//!
//! Events of one task are sent in order. If an event can't be delivered now, nothing after it is
//! sent, and Lambda passes the records from there on again. The same holds for an expired run that
//! can't be subtracted now. Unreadable records and rejected events are logged, counted and skipped.

use std::collections::VecDeque;
use std::mem;

use serde_json::Value;
use shared::error::error_chain;
use shared::event_sink::{EventSink, EventSinkError, MOST_DETAIL_BYTES, MOST_EVENTS, TaskEvent};
use shared::model::Task;
use shared::retry::with_retries;
use shared::store::stream_record::{RunChange, UnreadableRecord, read_stream_record};
use shared::store::{StoreError, TaskStore};
use shared::view::Renderer;
use tokio::time::Instant;
use tracing::{error, warn};

use super::{TIME_TO_RESPOND, log_unreadable, sequence_number};
use crate::invocation::Invocation;
use crate::summary::{PublishSummary, count};

/// An event that is not delivered yet.
#[derive(Debug)]
struct PendingEvent {
    /// The sequence number of its stream record.
    sequence_number: String,
    event: TaskEvent,
}

/// Events that are sent in one request.
type EventBatch<'a> = Vec<&'a PendingEvent>;

/// Why a batch was not delivered.
enum Undelivered<'a> {
    /// The sink rejected the request for one of these events, for good.
    Invalid(EventBatch<'a>, EventSinkError),
    /// The events from this record on must be sent again.
    RetryFrom(String),
}

/// What a record asks for.
#[derive(Debug)]
enum Work {
    /// Publishing a transition.
    Publish(TaskEvent),
    /// Taking an expired run out of the metrics.
    Subtract(Box<Task>),
}

/// Does what `records` ask for, and counts in `summary` what became of them. Without a sink no
/// event is published.
pub(super) async fn follow(
    tasks: &dyn TaskStore,
    sink: Option<&dyn EventSink>,
    records: &[Value],
    renderer: Renderer,
    invocation: Invocation,
    summary: &mut PublishSummary,
) {
    let mut events = Vec::new();
    for (sequence_number, work) in work_of(records, renderer, summary) {
        match work {
            Work::Publish(event) if sink.is_some() => events.push(PendingEvent {
                sequence_number,
                event,
            }),
            Work::Publish(_) => {}
            Work::Subtract(task) => {
                if !subtract(tasks, &task, summary).await {
                    summary.retry_from = Some(sequence_number);
                    break;
                }
            }
        }
    }
    if let Some(sink) = sink {
        publish(sink, &events, invocation, summary).await;
    }
}

/// Takes an expired run out of the metrics. Returns whether that need not be tried again.
async fn subtract(tasks: &dyn TaskStore, task: &Task, summary: &mut PublishSummary) -> bool {
    match tasks.subtract_expired(task).await {
        Ok(()) => {
            summary.expired += 1;
            true
        }
        Err(error @ (StoreError::Refused { .. } | StoreError::Corrupt { .. })) => {
            summary.unreadable += 1;
            let error = error_chain(&error);
            error!(error, run_id = %task.run_id(), "an expired run stays in the metrics");
            true
        }
        Err(error) => {
            let error = error_chain(&error);
            warn!(
                error,
                "an expired run can't be subtracted: it will be tried again"
            );
            false
        }
    }
}

/// Publishes events, in order. If that fails, `summary` says from which record on to try again.
async fn publish(
    sink: &dyn EventSink,
    events: &[PendingEvent],
    invocation: Invocation,
    summary: &mut PublishSummary,
) {
    let last_moment = invocation.last_moment(TIME_TO_RESPOND);
    let mut batches = batches(events);
    while let Some(batch) = batches.pop_front() {
        match deliver(sink, batch, last_moment, summary).await {
            Ok(()) => {}
            // Sending each event alone shows which one is invalid.
            Err(Undelivered::Invalid(suspects, _)) if suspects.len() > 1 => {
                for suspect in suspects.into_iter().rev() {
                    batches.push_front(vec![suspect]);
                }
            }
            Err(Undelivered::Invalid(batch, error)) => {
                for rejected in batch {
                    summary.rejected += 1;
                    log_rejected(rejected, &error);
                }
            }
            Err(Undelivered::RetryFrom(sequence_number)) => {
                summary.retry_from = Some(sequence_number);
                break;
            }
        }
    }
    summary.failed = count(events.len()) - summary.sent - summary.rejected;
}

/// What `records` ask for, in order, each with its sequence number.
fn work_of(
    records: &[Value],
    renderer: Renderer,
    summary: &mut PublishSummary,
) -> Vec<(String, Work)> {
    let mut first_unreadable: Option<UnreadableRecord> = None;
    let mut works = Vec::new();
    for record in records {
        let work = match read_stream_record(record) {
            Ok(Some(RunChange::Written(write))) => {
                TaskEvent::of(&write, renderer).map(Work::Publish)
            }
            Ok(Some(RunChange::Expired(task))) => Some(Work::Subtract(task)),
            Ok(None) => None,
            Err(unreadable) => {
                summary.unreadable += 1;
                first_unreadable.get_or_insert(unreadable);
                None
            }
        };
        works.extend(work.map(|work| (sequence_number(record), work)));
    }
    if let Some(first) = first_unreadable {
        log_unreadable(&first, summary.unreadable);
    }
    works
}

/// Splits events into batches that one request may hold. No batch has two events of one task,
/// because a sink may accept the later one and not the earlier one.
fn batches(events: &[PendingEvent]) -> VecDeque<EventBatch<'_>> {
    let mut batches: VecDeque<EventBatch<'_>> = VecDeque::new();
    let mut bytes = 0_usize;
    for next in events {
        let size = next.event.detail.len();
        let fits = |batch: &&mut EventBatch<'_>| {
            let mut tasks = batch.iter().map(|pending| &pending.event.task_id);
            batch.len() < MOST_EVENTS
                && bytes.saturating_add(size) <= MOST_DETAIL_BYTES
                && tasks.all(|task_id| *task_id != next.event.task_id)
        };
        if let Some(batch) = batches.back_mut().filter(fits) {
            batch.push(next);
            bytes += size;
        } else {
            batches.push_back(vec![next]);
            bytes = size;
        }
    }
    batches
}

/// Sends a batch. Repeats the events that were not accepted, while that may help and there is time.
async fn deliver<'a>(
    sink: &dyn EventSink,
    batch: EventBatch<'a>,
    last_moment: Option<Instant>,
    summary: &mut PublishSummary,
) -> Result<(), Undelivered<'a>> {
    let mut delivery = Delivery {
        pending: batch,
        sent: 0,
        rejected: 0,
    };
    let attempt = async || delivery.send(sink).await;
    let retried = with_retries(last_moment, attempt, EventSinkError::is_transient).await;
    summary.requests += retried.attempts;
    summary.sent += delivery.sent;
    summary.rejected += delivery.rejected;
    let pending = delivery.pending;
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
    Err(Undelivered::RetryFrom(first.sequence_number.clone()))
}

/// The delivery of one batch.
struct Delivery<'a> {
    pending: EventBatch<'a>,
    sent: u64,
    rejected: u64,
}

impl Delivery<'_> {
    /// Sends the pending events once. Those that can be sent again stay pending.
    ///
    /// # Errors
    ///
    /// The error of the request, or of one of the events. A transient one is preferred, so that the
    /// caller retries.
    async fn send(&mut self, sink: &dyn EventSink) -> Result<(), EventSinkError> {
        let events: Vec<_> = self.pending.iter().map(|pending| &pending.event).collect();
        let outcomes = sink.send(&events).await?;
        let mut result = Ok(());
        for (pending, outcome) in mem::take(&mut self.pending).into_iter().zip(outcomes) {
            match outcome {
                Ok(()) => self.sent += 1,
                Err(error @ EventSinkError::Invalid(_)) => {
                    self.rejected += 1;
                    log_rejected(pending, &error);
                }
                Err(error) => {
                    self.pending.push(pending);
                    if result.is_ok() || error.is_transient() {
                        result = Err(error);
                    }
                }
            }
        }
        result
    }
}

/// Logs an event that is never published.
fn log_rejected(rejected: &PendingEvent, error: &EventSinkError) {
    error!(
        error = error_chain(error),
        event_id = %rejected.event.id,
        task_id = %rejected.event.task_id,
        "the event bus rejected an event: it is skipped"
    );
}
