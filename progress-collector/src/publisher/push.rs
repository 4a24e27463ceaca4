//! Publishing to those who watch: the newest state of each run that the records tell of.
//!
//! Subscribers ignore what is older than what they have, so the order of messages does not matter. A
//! message is tried twice. If that fails, Lambda passes the records again.

use std::collections::HashMap;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream;
use serde_json::Value;
use shared::error::error_chain;
use shared::model::{RecordId, RunId};
use shared::push_sink::{
    Channel, MOST_EVENTS, MOST_MESSAGE_BYTES, PushError, PushMessage, PushSink, messages_of,
};
use shared::record::Head;
use shared::store::stream_record::{WrittenHead, read_written_head};
use shared::store::{StoreError, TaskStore};
use shared::view::Renderer;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{error, warn};

use super::{TIME_TO_RESPOND, log_unreadable, sequence_number};
use crate::invocation::Invocation;
use crate::summary::{PublishSummary, count};

/// The number of requests to the store and to the sink at the same time.
const CONCURRENT: usize = 8;
/// The most wait before the second attempt.
const LONGEST_WAIT: Duration = Duration::from_millis(400);

/// A run that the records tell of.
struct ChangedRun {
    /// The number of the first record that tells of it, among all records.
    first_record: usize,
    written: WrittenHead,
}

/// A message, and the first record of its run.
struct Pending {
    first_record: usize,
    event: String,
}

/// Messages that one request may hold.
struct Request {
    channel: Channel,
    pending: Vec<Pending>,
}

/// What became of the messages of a request.
#[derive(Default)]
struct Outcome {
    requests: u64,
    sent: u64,
    rejected: u64,
    /// The first records of the runs whose messages must be sent again.
    failed: Vec<usize>,
}

/// Publishes what `records` tell, and counts in `summary` what became of it.
pub(super) async fn follow(
    tasks: &dyn TaskStore,
    sink: &dyn PushSink,
    records: &[Value],
    renderer: Renderer,
    invocation: Invocation,
    summary: &mut PublishSummary,
) {
    let last_moment = invocation.last_moment(TIME_TO_RESPOND);
    let completed = stream::iter(changed_runs(records, summary))
        .map(|run| async move { (run.first_record, complete(tasks, run.written).await) })
        .buffered(CONCURRENT);
    let completed: Vec<_> = completed.collect().await;
    let mut failed = Vec::new();
    let mut messages = Vec::new();
    for (first_record, head) in completed {
        match head {
            Ok(Some(head)) => {
                let of_head = messages_of(&head, renderer, invocation.now);
                messages.extend(of_head.map(|message| (first_record, message)));
            }
            Ok(None) => summary.unreadable += 1,
            Err(_) => failed.push(first_record),
        }
    }
    let requests = stream::iter(requests(messages))
        .map(|request| send(sink, request, last_moment))
        .buffer_unordered(CONCURRENT);
    let outcomes: Vec<_> = requests.collect().await;
    for outcome in outcomes {
        summary.requests += outcome.requests;
        summary.sent += outcome.sent;
        summary.rejected += outcome.rejected;
        failed.extend(outcome.failed);
    }
    summary.failed = count(failed.len());
    let first_failed = failed
        .into_iter()
        .min()
        .and_then(|index| records.get(index));
    summary.retry_from = first_failed.map(sequence_number);
}

/// The runs that `records` tell of, each with its newest head.
fn changed_runs(records: &[Value], summary: &mut PublishSummary) -> Vec<ChangedRun> {
    let mut first_unreadable = None;
    let mut runs: Vec<ChangedRun> = Vec::new();
    let mut indexes: HashMap<RunId, usize> = HashMap::new();
    for (first_record, record) in records.iter().enumerate() {
        let written = match read_written_head(record) {
            Ok(Some(written)) => written,
            Ok(None) => continue,
            Err(unreadable) => {
                summary.unreadable += 1;
                first_unreadable.get_or_insert(unreadable);
                continue;
            }
        };
        let index = *indexes
            .entry(written.head.task.run_id())
            .or_insert(runs.len());
        match runs.get_mut(index) {
            Some(run) => run.written = written,
            None => runs.push(ChangedRun {
                first_record,
                written,
            }),
        }
    }
    if let Some(first) = first_unreadable {
        log_unreadable(&first, summary.unreadable);
    }
    runs
}

/// The head with its detail, which the store has. `None` if the store has no valid detail.
async fn complete(
    tasks: &dyn TaskStore,
    WrittenHead {
        mut head,
        has_detail,
    }: WrittenHead,
) -> Result<Option<Head>, StoreError> {
    if head.live().is_none() || !has_detail {
        return Ok(Some(head));
    }
    let run_id = head.task.run_id();
    match tasks.fetch(&RecordId::Run(run_id.clone())).await {
        // It may be newer than the record.
        Ok(Some(task)) => {
            head.task = task;
            Ok(Some(head))
        }
        // It was deleted meanwhile: a later record tells of that.
        Ok(None) => Ok(Some(head)),
        Err(error @ (StoreError::Refused { .. } | StoreError::Corrupt { .. })) => {
            error!(error = error_chain(&error), %run_id, "a run can't be read: it is not pushed");
            Ok(None)
        }
        Err(error) => {
            let shown = error_chain(&error);
            warn!(error = shown, %run_id, "a run can't be read now: it will be tried again");
            Err(error)
        }
    }
}

/// Divides messages into requests. Each has one channel.
fn requests(messages: Vec<(usize, PushMessage)>) -> Vec<Request> {
    let mut requests: Vec<Request> = Vec::new();
    let mut open: HashMap<Channel, (usize, usize)> = HashMap::new();
    for (first_record, PushMessage { channel, event }) in messages {
        let size = event.len();
        let pending = Pending {
            first_record,
            event,
        };
        let fits = open.get_mut(&channel).and_then(|(index, bytes)| {
            let request = requests.get_mut(*index)?;
            let fits = request.pending.len() < MOST_EVENTS && *bytes + size <= MOST_MESSAGE_BYTES;
            fits.then(|| {
                *bytes += size;
                request
            })
        });
        match fits {
            Some(request) => request.pending.push(pending),
            None => {
                open.insert(channel.clone(), (requests.len(), size));
                requests.push(Request {
                    channel,
                    pending: vec![pending],
                });
            }
        }
    }
    requests
}

/// Sends a request, and what it failed to deliver once more.
async fn send(
    sink: &dyn PushSink,
    Request {
        channel,
        mut pending,
    }: Request,
    last_moment: Option<Instant>,
) -> Outcome {
    let mut outcome = Outcome::default();
    for attempt in 1..=2 {
        let events: Vec<_> = pending
            .iter()
            .map(|pending| pending.event.as_str())
            .collect();
        let publishing = sink.publish(&channel, &events);
        outcome.requests += 1;
        let results = match last_moment {
            Some(last_moment) => timeout_at(last_moment, publishing).await.ok(),
            None => Some(publishing.await),
        };
        let Some(results) = results else {
            warn!(
                events = pending.len(),
                "out of time: the messages will be pushed again"
            );
            break;
        };
        let error = match results {
            Ok(results) => {
                let (left, error) = sort(std::mem::take(&mut pending), results, &mut outcome);
                pending = left;
                error
            }
            Err(error) => Some(error),
        };
        let Some(error) = error else { break };
        if attempt == 1 && error.is_transient() {
            sleep(LONGEST_WAIT.mul_f64(fastrand::f64().midpoint(1.0))).await;
            continue;
        }
        let (shown, events) = (error_chain(&error), pending.len());
        error!(error = shown, %channel, events, "messages can't be pushed: they will be pushed again");
        break;
    }
    outcome.failed = pending
        .into_iter()
        .map(|pending| pending.first_record)
        .collect();
    outcome
}

/// Counts the outcomes of messages. Returns those that may be sent again, and an error of one.
fn sort(
    pending: Vec<Pending>,
    results: Vec<Result<(), PushError>>,
    outcome: &mut Outcome,
) -> (Vec<Pending>, Option<PushError>) {
    let mut left = Vec::new();
    let mut transient = None;
    let mut results = results.into_iter();
    for pending in pending {
        match results.next() {
            Some(Ok(())) => outcome.sent += 1,
            Some(Err(error)) if !error.is_transient() => {
                outcome.rejected += 1;
                error!(
                    error = error_chain(&error),
                    "a message was refused: it is skipped"
                );
            }
            Some(Err(error)) => {
                left.push(pending);
                transient = Some(error);
            }
            None => left.push(pending),
        }
    }
    (left, transient)
}
