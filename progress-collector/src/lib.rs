//! The collector: reads what deploys and agents log, and keeps the tasks that they report.
//!
//! One handler, several triggers, all ending in the same fold: a [`Trigger`] names the events to read, lines
//! become observations in a batch of ledgers, and each task that they change is written. The
//! order of writes is DynamoDB, Redis, checkpoint: whatever is interrupted is read again, and reading
//! again is harmless. What is written comes back by the tasks table's stream, the one trigger that is of
//! another kind: the transitions among its records are told to others.

mod answer;
mod collector;
mod fallback;
mod metrics;
mod notify;
mod push;
mod summary;
mod sweep;
mod trigger;
mod window;
pub mod wiring;

use std::io::Write;
use std::time::Duration;

use serde_json::Value;
use shared::model::Timestamp;
use tokio::time::Instant;

pub use answer::{Answer, RecordFailure};
pub use collector::{CollectError, Collector, CollectorConfig, LogGroup, Parts};
pub use metrics::write_metrics;
pub use summary::{EventsSummary, GroupSummary, Summary};
pub use trigger::{InvalidTrigger, PushedEvents, Trigger, parse_trigger};

/// Why an invocation has failed.
#[derive(Debug, thiserror::Error)]
pub enum InvokeError {
    /// The event is no trigger.
    #[error(transparent)]
    Trigger(#[from] InvalidTrigger),
    /// Running it again may help.
    #[error(transparent)]
    Collect(#[from] CollectError),
}

impl From<InvokeError> for lambda_runtime::Diagnostic {
    /// What Lambda tells the caller: which kind of failure it is, and its outermost message.
    fn from(error: InvokeError) -> Self {
        let error_type = match error {
            InvokeError::Trigger(_) => "InvalidTrigger",
            InvokeError::Collect(_) => "StoreUnavailable",
        };
        Self {
            error_type: error_type.to_owned(),
            error_message: error.to_string(),
        }
    }
}

/// Runs one invocation of the function: `event` is what Lambda was given, `deadline_ms` when it will be stopped,
/// in milliseconds since 1970 (0: never). Its metrics are written to `metrics`, which Lambda takes from standard
/// output.
///
/// # Errors
///
/// [`InvokeError`]; it is logged here, with its causes.
pub async fn invoke(
    collector: &Collector,
    event: &Value,
    deadline_ms: u64,
    metrics: &mut impl Write,
) -> Result<Summary, InvokeError> {
    let now = Timestamp::now();
    let outcome = try_invoke(collector, event, now, deadline_ms).await;
    match &outcome {
        Ok(summary) => {
            if let Err(error) = write_metrics(summary, now, metrics) {
                tracing::warn!(%error, "can't write metrics");
            }
        }
        Err(error) => {
            let error = shared::error::error_chain(error);
            tracing::error!(error, "the invocation failed");
        }
    }
    outcome
}

async fn try_invoke(
    collector: &Collector,
    event: &Value,
    now: Timestamp,
    deadline_ms: u64,
) -> Result<Summary, InvokeError> {
    let trigger = parse_trigger(event)?;
    let deadline = i64::try_from(deadline_ms)
        .ok()
        .filter(|deadline| *deadline > 0);
    let deadline = deadline.map(|deadline| {
        let left_ms = Timestamp::from_millis(deadline).millis_since(now);
        Instant::now() + Duration::from_millis(left_ms)
    });
    Ok(collector.handle(trigger, now, deadline).await?)
}
