//! Events to an event bus of EventBridge.

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

/// The source of all events, as rules match it.
pub const SOURCE: &str = "miyabi-progress";

/// Makes a client, once it is needed.
type MakeClient = Box<dyn FnOnce() -> Client + Send>;

/// Sends events by `PutEvents`.
pub struct EventBridgeSink {
    client: LazyLock<Client, MakeClient>,
    event_bus: String,
}

/// What EventBridge says of an event that it did not take.
#[derive(Debug, thiserror::Error)]
#[error("{code}: {message}")]
struct Refusal {
    code: String,
    message: String,
}

/// The answer does not say what has become of the event.
#[derive(Debug, thiserror::Error)]
#[error("the answer has nothing of the event")]
struct Unanswered;

impl EventBridgeSink {
    /// A sink to `event_bus`, a name or an ARN, through the client that `make_client` makes at the first event. Its
    /// own retries should be off.
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
        events: &[&TaskEvent],
    ) -> Result<Vec<Result<(), EventSinkError>>, EventSinkError> {
        let entries = events.iter().map(|event| self.entry(event)).collect();
        let call = self.client.put_events().set_entries(Some(entries));
        let answer = call.send().await.map_err(classify)?;
        let mut answers = answer.entries.unwrap_or_default().into_iter();
        let outcomes = events.iter().map(|_| outcome(answers.next()));
        Ok(outcomes.collect())
    }
}

/// What has become of one event.
fn outcome(answer: Option<PutEventsResultEntry>) -> Result<(), EventSinkError> {
    let answer = answer.ok_or_else(|| EventSinkError::Unavailable(Box::new(Unanswered)))?;
    match (answer.error_code, answer.event_id) {
        (None, Some(_)) => Ok(()),
        (None, None) => Err(EventSinkError::Unavailable(Box::new(Unanswered))),
        (Some(code), _) => {
            let message = answer.error_message.unwrap_or_default();
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

/// Which error a code is, and the status of an answer that is an error as a whole
/// (<https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsResultEntry.html>).
fn kind_of(
    code: Option<&str>,
    status: Option<u16>,
) -> fn(Box<dyn Error + Send + Sync>) -> EventSinkError {
    // Of an event alone there is no status: 400 says nothing beyond the code.
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

    fn outcome_of(answer: PutEventsResultEntry) -> &'static str {
        match outcome(Some(answer)) {
            Ok(()) => "taken",
            Err(EventSinkError::Unavailable(_)) => "unavailable",
            Err(EventSinkError::Refused(_)) => "refused",
            Err(EventSinkError::Invalid(_)) => "invalid",
        }
    }

    #[test]
    fn an_event_is_taken_only_if_it_has_an_id_and_no_error() {
        let answer = PutEventsResultEntry::builder;
        assert_eq!(outcome_of(answer().event_id("7").build()), "taken");
        assert_eq!(outcome_of(answer().build()), "unavailable");
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
            let refused = answer().error_code(code).event_id("7").build();
            assert_eq!(outcome_of(refused), expected, "{code}");
        }
        let unanswered = outcome(None);
        assert!(unanswered.is_err_and(|error| error.is_transient()));
    }
}
