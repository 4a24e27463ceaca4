//! Publishes messages to an API of AppSync Events, over HTTP. There is no SDK for this.

use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::{Channel, PushError, PushSink};
use crate::aws::is_transient;
use crate::aws::signed::{BadStatus, SignedClient, Unsigned, body_of};
use crate::config::{ConfigError, Settings};
use crate::error::Source;

/// The name of the service in signatures.
const SERVICE: &str = "appsync";
/// The most time for a request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Where an API of AppSync Events is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppSyncEndpoint {
    /// Its host for requests: `….appsync-api.<region>.amazonaws.com`.
    host: String,
    /// The URL of the host that gets the requests, without a slash at the end.
    url: String,
}

impl AppSyncEndpoint {
    /// Reads `PUSH_HTTP_HOST` and `AWS_ENDPOINT_URL_APPSYNC` (default: https and that host).
    ///
    /// # Errors
    ///
    /// If `PUSH_HTTP_HOST` is not set.
    pub fn from_settings(settings: &Settings<'_>) -> Result<Self, ConfigError> {
        let host = settings.required("PUSH_HTTP_HOST")?;
        let url = settings.optional("AWS_ENDPOINT_URL_APPSYNC");
        let url = url.unwrap_or_else(|| format!("https://{host}"));
        Ok(Self {
            url: url.trim_end_matches('/').to_owned(),
            host,
        })
    }
}

/// Publishes with `POST /event`
/// (<https://docs.aws.amazon.com/appsync/latest/eventapi/publish-http.html>).
pub struct AppSyncSink {
    client: SignedClient,
    endpoint: AppSyncEndpoint,
}

#[derive(Serialize)]
struct Publication<'a> {
    channel: &'a str,
    events: &'a [&'a str],
}

/// What became of each event of a request. A response of status 200 may have failed events.
#[derive(Default, Deserialize)]
struct Outcomes {
    #[serde(default)]
    successful: Vec<Accepted>,
    #[serde(default)]
    failed: Vec<Failed>,
}

#[derive(Deserialize)]
struct Accepted {
    index: usize,
}

#[derive(Debug, Deserialize, thiserror::Error)]
#[error("{code}: {error_message}")]
#[serde(rename_all = "camelCase")]
struct Failed {
    index: usize,
    #[serde(default)]
    code: u16,
    #[serde(default)]
    error_message: String,
}

/// The response does not tell what became of the event.
#[derive(Debug, thiserror::Error)]
#[error("the response has no outcome for the event")]
struct NoOutcome;

impl AppSyncSink {
    /// Creates a sink to `endpoint`, which signs with the credentials and the region of `config`.
    /// `make_connector` is called at the first message.
    pub fn new(
        make_connector: impl FnOnce() -> SharedHttpConnector + Send + 'static,
        config: SdkConfig,
        endpoint: AppSyncEndpoint,
    ) -> Self {
        Self {
            client: SignedClient::new(SERVICE, make_connector, config),
            endpoint,
        }
    }
}

#[async_trait]
impl PushSink for AppSyncSink {
    async fn publish(
        &self,
        channel: &Channel,
        events: &[&str],
    ) -> Result<Vec<Result<(), PushError>>, PushError> {
        let channel = channel.to_string();
        let body = serde_json::to_string(&Publication {
            channel: &channel,
            events,
        });
        let body = body.map_err(|error| PushError::Refused(error.into()))?;
        let AppSyncEndpoint { host, url } = &self.endpoint;
        let request = Unsigned {
            method: "POST",
            host,
            base: url,
            path: "/event",
            content_type: Some("application/json"),
            body: &body,
        };
        let exchange = async {
            let mut response = self.client.send(request).await?;
            let body = body_of(&mut response).collect().await?.into_bytes();
            Ok::<_, Source>((response.status().as_u16(), body))
        };
        let exchanged = timeout(REQUEST_TIMEOUT, exchange).await;
        let (status, body) = exchanged
            .map_err(|elapsed| PushError::Unavailable(elapsed.into()))?
            .map_err(PushError::Unavailable)?;
        if status != 200 {
            return Err(bad_status(status, &body));
        }
        let outcomes = serde_json::from_slice(&body);
        let outcomes = outcomes.map_err(|error| PushError::Unavailable(error.into()))?;
        Ok(outcomes_of(outcomes, events.len()))
    }
}

/// The outcome of each of `count` events, in their order.
fn outcomes_of(outcomes: Outcomes, count: usize) -> Vec<Result<(), PushError>> {
    let mut results = Vec::new();
    results.resize_with(count, || Err(PushError::Unavailable(Box::new(NoOutcome))));
    for Accepted { index } in outcomes.successful {
        if let Some(result) = results.get_mut(index) {
            *result = Ok(());
        }
    }
    for failed in outcomes.failed {
        let is_transient = is_transient(None, failed.code);
        if let Some(result) = results.get_mut(failed.index) {
            *result = Err(match is_transient {
                true => PushError::Unavailable(failed.into()),
                false => PushError::Refused(failed.into()),
            });
        }
    }
    results
}

fn bad_status(status: u16, body: &[u8]) -> PushError {
    let error = Box::new(BadStatus::new(status, body));
    match is_transient(None, status) {
        true => PushError::Unavailable(error),
        false => PushError::Refused(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcomes(json: &str, count: usize) -> Vec<&'static str> {
        let outcomes = serde_json::from_str(json).unwrap();
        let outcomes = outcomes_of(outcomes, count).into_iter();
        let word = |outcome| match outcome {
            Ok(()) => "accepted",
            Err(PushError::Unavailable(_)) => "unavailable",
            Err(PushError::Refused(_)) => "refused",
        };
        outcomes.map(word).collect()
    }

    #[test]
    fn each_event_has_its_outcome_whatever_the_response_leaves_out() {
        let json = r#"{
            "successful": [{"identifier": "a", "index": 0}, {"identifier": "z", "index": 9}],
            "failed": [
                {"identifier": "b", "index": 1, "code": 500, "errorMessage": "inside"},
                {"identifier": "c", "index": 2, "code": 400, "errorMessage": "too large"},
                {"identifier": "d", "index": 3, "code": 429}
            ]
        }"#;
        let expected = [
            "accepted",
            "unavailable",
            "refused",
            "unavailable",
            "unavailable",
        ];
        assert_eq!(outcomes(json, 5), expected);
        assert_eq!(outcomes("{}", 1), ["unavailable"]);
    }

    #[test]
    fn a_status_tells_whether_another_attempt_may_help() {
        for (status, expected) in [
            (500, true),
            (503, true),
            (429, true),
            (408, true),
            (204, true),
            (400, false),
            (401, false),
            (403, false),
            (404, false),
        ] {
            let error = bad_status(status, b"why");
            assert_eq!(error.is_transient(), expected, "{status}");
        }
    }
}
