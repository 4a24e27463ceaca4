//! The end of a log stream, from CloudWatch Logs.

use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::types::OutputLogEvent;
use tokio::time::timeout;

use super::cloudwatch::classify;
use super::{LogSourceError, TailRequest, TailSource};
use crate::log_link::is_of_cloudwatch;
use crate::log_tail::{MOST_TAIL_LINES, TailLine, TailPart};
use crate::model::Timestamp;

/// The most requests for one tail. A page may be empty although lines are before it.
const MOST_PAGES: usize = 3;
/// The most time for all requests of one tail.
const PATIENCE: Duration = Duration::from_secs(5);

/// Makes a client when it is needed.
type MakeClient = Box<dyn FnOnce() -> Client + Send>;

/// Reads log streams with `GetLogEvents`, from their end. AWS allows about 25 such requests a second for
/// each account and region
/// (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html>).
pub struct CloudWatchTailSource {
    client: LazyLock<Client, MakeClient>,
}

impl CloudWatchTailSource {
    /// Creates a source. `make_client` makes the client at the first request. The client's own retries
    /// should be off.
    pub fn new(make_client: impl FnOnce() -> Client + Send + 'static) -> Self {
        Self {
            client: LazyLock::new(Box::new(make_client)),
        }
    }

    /// The last events of a stream, oldest first.
    async fn last_events(
        &self,
        request: TailRequest<'_>,
    ) -> Result<Vec<OutputLogEvent>, LogSourceError> {
        let most = i32::try_from(MOST_TAIL_LINES).unwrap_or(i32::MAX);
        let mut token = None;
        let mut later = Vec::new();
        for _ in 0..MOST_PAGES {
            let call = self
                .client
                .get_log_events()
                .log_group_name(request.log_group)
                .log_stream_name(request.log_stream)
                .start_time(request.start.as_millis())
                .end_time(request.end.as_millis().saturating_add(1)) // the end is not included
                .start_from_head(false)
                .limit(most)
                .set_next_token(token.clone());
            let page = call.send().await;
            let page = page.map_err(|error| classify(request.log_group, error))?;
            let mut events = page.events.unwrap_or_default();
            events.append(&mut later);
            later = events;
            // At the beginning of a stream, the token does not change.
            let before = page.next_backward_token;
            if later.len() >= MOST_TAIL_LINES || before.is_none() || before == token {
                break;
            }
            token = before;
        }
        Ok(later)
    }
}

#[async_trait]
impl TailSource for CloudWatchTailSource {
    async fn fetch_tail(&self, request: TailRequest<'_>) -> Result<Vec<TailLine>, LogSourceError> {
        if !is_of_cloudwatch(request.log_group) {
            return Err(LogSourceError::GroupNotFound(request.log_group.to_owned()));
        }
        let events = timeout(PATIENCE, self.last_events(request)).await;
        let events = events.map_err(|elapsed| LogSourceError::Unavailable {
            log_group: request.log_group.to_owned(),
            source: Box::new(elapsed),
        })??;
        let mut tail = TailPart::new(0);
        // AWS leaves out the end, and not everybody else does.
        let end = request.end.as_millis();
        let events = events.into_iter();
        for event in events.filter(|event| event.timestamp.is_none_or(|time| time <= end)) {
            let time = Timestamp::from_millis(event.timestamp.unwrap_or_default());
            for line in event.message.unwrap_or_default().lines() {
                tail.push(time, false, line);
            }
        }
        Ok(tail.finish().lines)
    }
}
