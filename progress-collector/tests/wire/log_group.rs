//! Log groups in the emulator, and reading them.

use std::sync::Arc;

use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::types::InputLogEvent;
use shared::log_source::{CloudWatchLogSource, LogPage, LogSource, PageRequest};
use shared::model::Timestamp;

use crate::client::client;
use crate::moto::Moto;

/// The most events in one `PutLogEvents` request.
const MAX_EVENTS_PER_CALL: usize = 10_000;

/// A log group of one test.
pub(crate) struct LogGroup {
    pub(crate) name: String,
    pub(crate) client: Client,
    /// Keeps the emulator running.
    moto: Arc<Moto>,
}

impl LogGroup {
    /// Creates a log group with these log streams. Tests share an emulator, so each test needs a
    /// name of its own.
    pub(crate) async fn create(name: &str, log_streams: &[&str]) -> Self {
        let moto = Moto::shared();
        let client = client(&moto.endpoint_url);
        let call = client.create_log_group().log_group_name(name);
        call.send().await.unwrap();
        for log_stream in log_streams {
            let call = client
                .create_log_stream()
                .log_group_name(name)
                .log_stream_name(*log_stream);
            call.send().await.unwrap();
        }
        Self {
            name: name.to_owned(),
            client,
            moto,
        }
    }

    /// Puts events into a log stream, oldest first.
    pub(crate) async fn put<M: Into<String>>(
        &self,
        log_stream: &str,
        events: impl IntoIterator<Item = (Timestamp, M)>,
    ) {
        let event = |(timestamp, message): (Timestamp, M)| {
            InputLogEvent::builder()
                .timestamp(timestamp.as_millis())
                .message(message)
                .build()
                .unwrap()
        };
        let events: Vec<_> = events.into_iter().map(event).collect();
        for part in events.chunks(MAX_EVENTS_PER_CALL) {
            let call = self
                .client
                .put_log_events()
                .log_group_name(&self.name)
                .log_stream_name(log_stream)
                .set_log_events(Some(part.to_vec()));
            let response = call.send().await.unwrap();
            assert_eq!(response.rejected_log_events_info, None);
        }
    }

    /// The emulator's address.
    pub(crate) fn endpoint_url(&self) -> &str {
        &self.moto.endpoint_url
    }

    pub(crate) fn source(&self) -> CloudWatchLogSource {
        CloudWatchLogSource::new(self.client.clone())
    }
}

/// All pages of a window.
pub(crate) async fn pages(
    source: &dyn LogSource,
    log_group: &str,
    start: Timestamp,
    end: Timestamp,
) -> Vec<LogPage> {
    let mut pages: Vec<LogPage> = Vec::new();
    loop {
        let next_token = pages.last().and_then(|page| page.next_token.as_deref());
        if !pages.is_empty() && next_token.is_none() {
            return pages;
        }
        let request = PageRequest {
            log_group,
            start,
            end,
            next_token,
        };
        pages.push(source.fetch_page(request).await.unwrap());
    }
}
