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

/// What tells the events of HTTP APIs and of function URLs from all others.
#[derive(Deserialize)]
struct Version<'a> {
    version: Option<&'a str>,
}

impl<'de> Deserialize<'de> for Event {
    /// As [`LambdaRequest`] is, which tries one kind of event after the other: but the most frequent one is looked for
    /// first, as a try that fails costs as much as one that does not.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let version = serde_json::from_str(raw.get()).ok();
        let version = version.and_then(|Version { version }| version);
        if version == Some("2.0")
            && let Ok(request) = serde_json::from_str::<ApiGatewayV2httpRequest>(raw.get())
        {
            return Ok(Self(LambdaRequest::ApiGatewayV2(request)));
        }
        let request = serde_json::from_str(raw.get());
        request.map(Self).map_err(D::Error::custom)
    }
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
