//! Runs one invocation: event in, summary and metrics out.

use std::io::Write;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use shared::error::error_chain;
use shared::model::Timestamp;
use tokio::time::Instant;
use tracing::{error, warn};

use crate::collector::{CollectError, Collector};
use crate::invocation::Invocation;
use crate::metrics::{MetricsLevel, write_metrics};
use crate::summary::Summary;
use crate::trigger::{InvalidTrigger, Trigger};
use crate::triggers::parse_trigger;

/// Why an invocation failed.
#[derive(Debug, thiserror::Error)]
pub enum InvokeError {
    /// The event is not a valid trigger. Invoking the function again will not help.
    #[error(transparent)]
    Trigger(#[from] InvalidTrigger),
    /// The work failed. Invoking the function again may help.
    #[error(transparent)]
    Collect(#[from] CollectError),
}

impl From<InvokeError> for lambda_runtime::Diagnostic {
    /// The function error that Lambda returns to the caller: the kind of failure and its outermost
    /// message.
    fn from(error: InvokeError) -> Self {
        let error_type = match error {
            InvokeError::Trigger(_) => "InvalidTrigger",
            InvokeError::Collect(CollectError::Store(_)) => "StoreUnavailable",
            InvokeError::Collect(CollectError::Object(_)) => "ObjectUnavailable",
        };
        Self {
            error_type: error_type.to_owned(),
            error_message: error.to_string(),
        }
    }
}

/// What a function does with an event.
///
/// The futures need not be `Send`: an instance of the function handles one event at a time, on one
/// thread.
#[async_trait(?Send)]
pub trait Handler {
    /// Handles an event, and ends before the deadline.
    ///
    /// # Errors
    ///
    /// [`InvokeError`].
    async fn handle_event(
        &self,
        lambda_event: &Value,
        invocation: Invocation,
    ) -> Result<Summary, InvokeError>;
}

/// Runs one invocation of the function.
///
/// `lambda_event` is the event as Lambda passes it. `deadline_ms` is when Lambda stops the
/// function, in milliseconds since 1970; 0 means never. The metrics of this level are written to
/// `metrics`, which is standard output in production.
///
/// # Errors
///
/// [`InvokeError`]. It is logged here with its causes.
pub async fn invoke(
    handler: &dyn Handler,
    lambda_event: &Value,
    deadline_ms: u64,
    level: MetricsLevel,
    metrics: &mut impl Write,
) -> Result<Summary, InvokeError> {
    let now = Timestamp::now();
    let outcome = try_invoke(handler, lambda_event, now, deadline_ms).await;
    match &outcome {
        Ok(summary) => {
            if let Err(error) = write_metrics(summary, level, now, metrics) {
                warn!(%error, "can't write metrics");
            }
        }
        Err(error) => {
            let error = error_chain(error);
            error!(error, "the invocation failed");
        }
    }
    outcome
}

async fn try_invoke(
    handler: &dyn Handler,
    lambda_event: &Value,
    now: Timestamp,
    deadline_ms: u64,
) -> Result<Summary, InvokeError> {
    let deadline_ms = i64::try_from(deadline_ms).ok().filter(|&at| at > 0);
    let deadline = deadline_ms.map(|deadline_ms| {
        let left_ms = Timestamp::from_millis(deadline_ms).millis_since(now);
        Instant::now() + Duration::from_millis(left_ms)
    });
    let invocation = Invocation { now, deadline };
    handler.handle_event(lambda_event, invocation).await
}

#[async_trait(?Send)]
impl Handler for Collector {
    async fn handle_event(
        &self,
        lambda_event: &Value,
        Invocation { now, deadline }: Invocation,
    ) -> Result<Summary, InvokeError> {
        let trigger = parse_trigger(lambda_event)?;
        Ok(self.handle(trigger.as_ref(), now, deadline).await?)
    }
}

impl Collector {
    /// Handles `trigger` as of `now`, and ends before `deadline`.
    ///
    /// # Errors
    ///
    /// [`CollectError`] if tasks or checkpoints could not be read or saved. A log group that can't
    /// be read is no error: the summary reports it, and the next sweep continues from the
    /// checkpoint.
    pub async fn handle(
        &self,
        trigger: &dyn Trigger,
        now: Timestamp,
        deadline: Option<Instant>,
    ) -> Result<Summary, CollectError> {
        let started = Instant::now();
        let summary = trigger.handle(self, Invocation { now, deadline }).await?;
        Ok(summary.ended(started))
    }
}
