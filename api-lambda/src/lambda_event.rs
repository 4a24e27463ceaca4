//! The events of the HTTP services that invoke the function, and the loop that answers them.

use axum::Router;
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use lambda_http::request::LambdaRequest;
use lambda_http::{Adapter, LambdaEvent};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use tower::ServiceBuilder;

/// An event of an HTTP API, a REST API, a function URL or a load balancer.
#[derive(Debug)]
struct HttpEvent(LambdaRequest);

impl<'de> Deserialize<'de> for HttpEvent {
    /// Tries the most frequent kind of event first. [`LambdaRequest`] tries one kind after the
    /// other, and a failed attempt costs as much as a successful one.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        if may_be_version_2(raw.get())
            && let Ok(request) = serde_json::from_str::<ApiGatewayV2httpRequest>(raw.get())
            && request.version.as_deref() == Some("2.0")
        {
            return Ok(Self(LambdaRequest::ApiGatewayV2(request)));
        }
        let request = serde_json::from_str(raw.get());
        request.map(Self).map_err(D::Error::custom)
    }
}

/// Whether an event can be one of an HTTP API or a function URL. Other events can contain the same
/// text.
fn may_be_version_2(event: &str) -> bool {
    const SPELLINGS: [&str; 2] = [r#""version":"2.0""#, r#""version": "2.0""#];
    let found = |spelling: &&str| memchr::memmem::find(event.as_bytes(), spelling.as_bytes());
    SPELLINGS.iter().any(|spelling| found(spelling).is_some())
}

/// Passes the events of this function to `router`, until the process ends.
///
/// # Errors
///
/// If the Lambda Runtime API can't be reached.
pub async fn run(router: Router) -> Result<(), lambda_http::Error> {
    let service = ServiceBuilder::new()
        .map_request(|event: LambdaEvent<HttpEvent>| {
            LambdaEvent::new(event.payload.0, event.context)
        })
        .layer_fn(Adapter::from)
        .service(router.into_service());
    lambda_http::lambda_runtime::run(service).await
}
