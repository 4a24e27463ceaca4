//! Publishes events to an event bus of EventBridge.

use std::error::Error;
use std::sync::LazyLock;

use async_trait::async_trait;
use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::error::SdkError;
use aws_sdk_eventbridge::operation::put_events::PutEventsError;
use aws_sdk_eventbridge::primitives::DateTime;
use aws_sdk_eventbridge::types::{PutEventsRequestEntry, PutEventsResultEntry};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::{EventSink, EventSinkError, TaskEvent};
use crate::aws::is_transient;

/// The source of all events, for the patterns of rules.
pub const SOURCE: &str = "miyabi-progress";

/// Makes a client when it is needed.
type MakeClient = Box<dyn FnOnce() -> Client + Send>;

/// Sends events with `PutEvents`.
pub struct EventBridgeSink {
    client: LazyLock<Client, MakeClient>,
    event_bus: String,
}

/// EventBridge's reason for refusing one event.
#[derive(Debug, thiserror::Error)]
#[error("{code}: {message}")]
struct Refusal {
    code: String,
    message: String,
}

/// The response has no result for the event.
#[derive(Debug, thiserror::Error)]
#[error("the response has no result for the event")]
struct MissingResult;

impl EventBridgeSink {
    /// Creates a sink to `event_bus` (a name or an ARN). `make_client` makes the client at the
    /// first event. The client's own retries should be off.
    pub fn new(
        make_client: impl FnOnce() -> Client + Send + 'static,
        event_bus: impl Into<String>,
    ) -> Self {
        Self {
            client: LazyLock::new(Box::new(make_client)),
            event_bus: event_bus.into(),
        }
    }

    fn entry(&self, event: &TaskEvent) -> PutEventsRequestEntry {
        PutEventsRequestEntry::builder()
            .event_bus_name(&self.event_bus)
            .source(SOURCE)
            .detail_type(event.detail_type())
            .time(DateTime::from_millis(event.time.as_millis()))
            .set_resources(Some(event.resources.clone()))
            .detail(&event.detail)
            .build()
    }
}

#[async_trait]
impl EventSink for EventBridgeSink {
    async fn send(
        &self,
        bus_events: &[&TaskEvent],
    ) -> Result<Vec<Result<(), EventSinkError>>, EventSinkError> {
        let entries = bus_events.iter().map(|event| self.entry(event)).collect();
        let call = self.client.put_events().set_entries(Some(entries));
        let response = call.send().await.map_err(classify)?;
        let mut results = response.entries.unwrap_or_default().into_iter();
        let outcomes = bus_events.iter().map(|_| outcome(results.next()));
        Ok(outcomes.collect())
    }
}

/// The outcome of one event.
fn outcome(result: Option<PutEventsResultEntry>) -> Result<(), EventSinkError> {
    let result = result.ok_or_else(|| EventSinkError::Unavailable(Box::new(MissingResult)))?;
    match (result.error_code, result.event_id) {
        (None, Some(_)) => Ok(()),
        (None, None) => Err(EventSinkError::Unavailable(Box::new(MissingResult))),
        (Some(code), _) => {
            let message = result.error_message.unwrap_or_default();
            let kind = kind_of(Some(&code), None);
            Err(kind(Box::new(Refusal { code, message })))
        }
    }
}

fn classify(error: SdkError<PutEventsError>) -> EventSinkError {
    let kind = match &error {
        SdkError::ServiceError(service) => {
            let status = service.raw().status().as_u16();
            kind_of(service.err().code(), Some(status))
        }
        SdkError::ConstructionFailure(_) => EventSinkError::Refused,
        _ => EventSinkError::Unavailable,
    };
    kind(Box::new(error))
}

/// The kind of error for a code, and for the status of a failed response
/// (<https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsResultEntry.html>).
fn kind_of(
    code: Option<&str>,
    status: Option<u16>,
) -> fn(Box<dyn Error + Send + Sync>) -> EventSinkError {
    // The result of one event has no status. 400 adds nothing to the code.
    if is_transient(code, status.unwrap_or(400)) {
        EventSinkError::Unavailable
    } else if matches!(
        code,
        Some("InvalidArgument" | "MalformedDetail" | "ValidationException")
    ) {
        EventSinkError::Invalid
    } else {
        EventSinkError::Refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome_of(result: PutEventsResultEntry) -> &'static str {
        match outcome(Some(result)) {
            Ok(()) => "accepted",
            Err(EventSinkError::Unavailable(_)) => "unavailable",
            Err(EventSinkError::Refused(_)) => "refused",
            Err(EventSinkError::Invalid(_)) => "invalid",
        }
    }

    #[test]
    fn an_event_is_accepted_only_if_it_has_an_id_and_no_error() {
        let result = PutEventsResultEntry::builder;
        assert_eq!(outcome_of(result().event_id("7").build()), "accepted");
        assert_eq!(outcome_of(result().build()), "unavailable");
        for (code, expected) in [
            ("InternalFailure", "unavailable"),
            ("InternalException", "unavailable"),
            ("ThrottlingException", "unavailable"),
            ("AccessDeniedException", "refused"),
            ("NotAuthorizedForSourceException", "refused"),
            ("NotAuthorizedForDetailTypeException", "refused"),
            ("InvalidAccountIdException", "refused"),
            ("RedactionFailure", "refused"),
            ("OfALaterYear", "refused"),
            ("InvalidArgument", "invalid"),
            ("MalformedDetail", "invalid"),
        ] {
            let refused = result().error_code(code).event_id("7").build();
            assert_eq!(outcome_of(refused), expected, "{code}");
        }
        let without_result = outcome(None);
        assert!(without_result.is_err_and(|error| error.is_transient()));
    }
}
