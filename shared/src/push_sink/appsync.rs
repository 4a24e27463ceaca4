//! Publishes messages to an API of AppSync Events, over HTTP. There is no SDK for this.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_dynamodb::config::ProvideCredentials as _;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::{Channel, PushError, PushSink};
use crate::aws::is_transient;
use crate::config::{ConfigError, Settings};
use crate::error::Source;

/// The name of the service in signatures.
const SERVICE: &str = "appsync";
/// The most time for a request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// The most bytes of a response that an error message shows.
const SHOWN_BYTES: usize = 300;

/// Makes a connector when it is needed.
type MakeConnector = Box<dyn FnOnce() -> SharedHttpConnector + Send>;

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
    connector: LazyLock<SharedHttpConnector, MakeConnector>,
    config: SdkConfig,
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

/// A response with another status than 200.
#[derive(Debug, thiserror::Error)]
#[error("status {status}: {text}")]
struct BadStatus {
    status: u16,
    text: String,
}

/// The response does not tell what became of the event.
#[derive(Debug, thiserror::Error)]
#[error("the response has no outcome for the event")]
struct NoOutcome;

/// No credentials or no region is configured.
#[derive(Debug, thiserror::Error)]
#[error("no {0} is configured")]
struct NotConfigured(&'static str);

impl AppSyncSink {
    /// Creates a sink to `endpoint`, which signs with the credentials and the region of `config`.
    /// `make_connector` is called at the first message.
    pub fn new(
        make_connector: impl FnOnce() -> SharedHttpConnector + Send + 'static,
        config: SdkConfig,
        endpoint: AppSyncEndpoint,
    ) -> Self {
        Self {
            connector: LazyLock::new(Box::new(make_connector)),
            config,
            endpoint,
        }
    }

    /// A request with this body, signed.
    async fn request(&self, body: String) -> Result<HttpRequest, Source> {
        let credentials = self.config.credentials_provider();
        let credentials = credentials.ok_or(NotConfigured("access key"))?;
        let identity = credentials.provide_credentials().await?.into();
        let region = self.config.region().ok_or(NotConfigured("region"))?;
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(region.as_ref())
            .name(SERVICE)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()?
            .into();
        let AppSyncEndpoint { host, url } = &self.endpoint;
        // The signature is for the host that AppSync knows, wherever the request goes.
        let signed_url = format!("https://{host}/event");
        let headers = [
            ("content-type", "application/json"),
            ("host", host.as_str()),
        ];
        let signable = SignableRequest::new(
            "POST",
            &signed_url,
            headers.into_iter(),
            SignableBody::Bytes(body.as_bytes()),
        )?;
        let (signature, _) = sign(signable, &parameters)?.into_parts();
        let mut request = HttpRequest::new(SdkBody::from(body.as_str()));
        request.set_method("POST")?;
        request.set_uri(format!("{url}/event"))?;
        for (name, value) in headers.into_iter().chain(signature.headers()) {
            request
                .headers_mut()
                .try_insert(name.to_owned(), value.to_owned())?;
        }
        Ok(request)
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
        let request = self.request(body).await.map_err(PushError::Unavailable)?;
        let exchange = async {
            let mut response = self.connector.call(request).await?;
            let body = std::mem::replace(response.body_mut(), SdkBody::taken());
            let body = ByteStream::new(body).collect().await?.into_bytes();
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
    let text = String::from_utf8_lossy(body);
    let text = text.chars().take(SHOWN_BYTES).collect();
    let error = Box::new(BadStatus { status, text });
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
