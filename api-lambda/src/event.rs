//! The events of Lambda's front doors, and the way from an event to the router and back.

use axum::Router;
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use lambda_http::request::LambdaRequest;
use lambda_http::{Adapter, LambdaEvent};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use tower::ServiceBuilder;

/// An event of any front door.
#[derive(Debug)]
struct Event(LambdaRequest);

impl<'de> Deserialize<'de> for Event {
    /// As [`LambdaRequest`] is, which tries one kind of event after the other: but the most frequent one is looked for
    /// first, as a try that fails costs as much as one that does not.
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

/// Whether an event looks like those of HTTP APIs and of function URLs. Others may have the same somewhere inside.
fn may_be_version_2(event: &str) -> bool {
    const SPELLINGS: [&str; 2] = [r#""version":"2.0""#, r#""version": "2.0""#];
    let found = |spelling: &&str| memchr::memmem::find(event.as_bytes(), spelling.as_bytes());
    SPELLINGS.iter().any(|spelling| found(spelling).is_some())
}

/// Answers the events of this function by `router` for as long as it lives.
///
/// # Errors
///
/// That the interface of Lambda can't be reached.
pub async fn run(router: Router) -> Result<(), lambda_http::Error> {
    let service = ServiceBuilder::new()
        .map_request(|event: LambdaEvent<Event>| LambdaEvent::new(event.payload.0, event.context))
        .layer_fn(Adapter::from)
        .service(router.into_service());
    lambda_http::lambda_runtime::run(service).await
}
