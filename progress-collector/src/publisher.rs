//! The publisher: a function of its own that follows the stream of the tasks table, and tells others
//! what changes. A function has one task: Lambda passes a stream only once to each function.

mod bus;
mod push;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use shared::error::error_chain;
use shared::event_sink::EventSink;
use shared::push_sink::PushSink;
use shared::store::TaskStore;
use shared::store::stream_record::UnreadableRecord;
use shared::view::Renderer;
use tokio::time::Instant;
use tracing::error;

use crate::invocation::Invocation;
use crate::summary::{PublishSummary, PublishTarget, Summary};

/// The time before the deadline that is reserved for the response.
const TIME_TO_RESPOND: Duration = Duration::from_secs(1);

/// Tells others what changes.
pub struct Publisher {
    tasks: Arc<dyn TaskStore>,
    renderer: Renderer,
    target: Target,
}

/// Whom it tells.
enum Target {
    /// The event bus, if there is one. Expired runs also leave the metrics.
    Bus(Option<Arc<dyn EventSink>>),
    /// Those who watch tasks now.
    Push(Arc<dyn PushSink>),
}

impl Publisher {
    /// A publisher that takes expired runs out of the metrics, and sends transitions to `event_sink`.
    /// A running task is stale after `stale_after`.
    pub fn to_bus(
        tasks: Arc<dyn TaskStore>,
        event_sink: Option<Arc<dyn EventSink>>,
        stale_after: Duration,
    ) -> Self {
        Self::new(tasks, Target::Bus(event_sink), stale_after)
    }

    /// A publisher that sends the state of each run that changes to `push_sink`.
    pub fn to_push(
        tasks: Arc<dyn TaskStore>,
        push_sink: Arc<dyn PushSink>,
        stale_after: Duration,
    ) -> Self {
        Self::new(tasks, Target::Push(push_sink), stale_after)
    }

    fn new(tasks: Arc<dyn TaskStore>, target: Target, stale_after: Duration) -> Self {
        Self {
            tasks,
            renderer: Renderer::new(stale_after),
            target,
        }
    }

    /// Follows `records`, oldest first, as Lambda passes them. The summary says from which record on
    /// they must be passed again, if at all.
    pub async fn follow(&self, records: &[Value], invocation: Invocation) -> Summary {
        let started = Instant::now();
        let target = match &self.target {
            Target::Bus(_) => PublishTarget::Bus,
            Target::Push(_) => PublishTarget::Push,
        };
        let mut summary = PublishSummary::of(target, records);
        let tasks = self.tasks.as_ref();
        match &self.target {
            Target::Bus(sink) => {
                let sink = sink.as_deref();
                bus::follow(
                    tasks,
                    sink,
                    records,
                    self.renderer,
                    invocation,
                    &mut summary,
                )
                .await;
            }
            Target::Push(sink) => {
                let sink = sink.as_ref();
                push::follow(
                    tasks,
                    sink,
                    records,
                    self.renderer,
                    invocation,
                    &mut summary,
                )
                .await;
            }
        }
        Summary::of_publishing("stream", summary).ended(started)
    }
}

/// The sequence number of a record. Lambda always sets it. If it is missing, the text is empty, and
/// Lambda treats the whole batch as failed.
fn sequence_number(record: &Value) -> String {
    let number = record.pointer("/dynamodb/SequenceNumber");
    let number = number.and_then(Value::as_str);
    number.unwrap_or_default().to_owned()
}

/// Logs the first of the records that can't be read.
fn log_unreadable(first: &UnreadableRecord, unreadable: u64) {
    let error = error_chain(first);
    error!(error, unreadable, "stream records can't be read");
}
