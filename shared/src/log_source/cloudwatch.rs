//! Log events from CloudWatch Logs.

use std::error::Error;

use async_trait::async_trait;
use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::error::SdkError;
use aws_sdk_cloudwatchlogs::types::FilteredLogEvent;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::{LogEvent, LogPage, LogSource, LogSourceError, PageRequest};
use crate::aws::is_transient;
use crate::model::Timestamp;

/// Reads log groups with `FilterLogEvents`: pages of at most 1 MB or 10,000 events, and about five
/// requests a second for each account and region.
#[derive(Debug, Clone)]
pub struct CloudWatchLogSource {
    client: Client,
}

impl CloudWatchLogSource {
    /// Creates a source that uses `client`. The client's own retries should be off.
    pub fn new(client: Client) -> Self {
        Self { client }
    }
}

#[async_trait]
impl LogSource for CloudWatchLogSource {
    async fn fetch_page(&self, request: PageRequest<'_>) -> Result<LogPage, LogSourceError> {
        let call = self
            .client
            .filter_log_events()
            .log_group_name(request.log_group)
            .start_time(request.start.as_millis())
            // AWS documents the end as included, but has left it out at times. The request asks for
            // one more millisecond, and later events are dropped below.
            .end_time(request.end.as_millis().saturating_add(1))
            .set_next_token(request.next_token.map(str::to_owned));
        let page = call
            .send()
            .await
            .map_err(|error| classify(request.log_group, error))?;
        let log_events = page.events.unwrap_or_default();
        Ok(LogPage {
            events: log_events
                .into_iter()
                .filter_map(log_event)
                .filter(|event| event.timestamp <= request.end)
                .collect(),
            next_token: page.next_token,
        })
    }
}

/// Converts an event; `None` without a time, stream or id. AWS always returns all three.
fn log_event(event: FilteredLogEvent) -> Option<LogEvent> {
    let timestamp = event.timestamp?;
    Some(LogEvent {
        log_stream: event.log_stream_name?,
        timestamp: Timestamp::from_millis(timestamp),
        ingested_at: Timestamp::from_millis(event.ingestion_time.unwrap_or(timestamp)),
        event_id: event.event_id?,
        message: event.message.unwrap_or_default(),
    })
}

/// What a failed call for a log group means.
pub(super) fn classify<E>(log_group: &str, error: SdkError<E>) -> LogSourceError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let log_group = log_group.to_owned();
    if let SdkError::ServiceError(service) = &error {
        let code = service.err().code();
        if code == Some("ResourceNotFoundException") {
            return LogSourceError::GroupNotFound(log_group);
        }
        if !is_transient(code, service.raw().status().as_u16()) {
            return LogSourceError::Refused {
                log_group,
                source: Box::new(error),
            };
        }
    } else if matches!(error, SdkError::ConstructionFailure(_)) {
        return LogSourceError::Refused {
            log_group,
            source: Box::new(error),
        };
    }
    LogSourceError::Unavailable {
        log_group,
        source: Box::new(error),
    }
}
