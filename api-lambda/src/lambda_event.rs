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
        let mut request = serde_json::from_str(raw.get()).map_err(D::Error::custom)?;
        keep_repeated_headers(&mut request);
        Ok(Self(request))
    }
}

/// Keeps all values of headers that occur several times.
///
/// `multiValueHeaders` has them all, and `headers` only the last one. The Lambda runtime would
/// replace all values by the last one. A request with two tokens would then look like one with one.
fn keep_repeated_headers(request: &mut LambdaRequest) {
    let (last_values, all_values) = match request {
        LambdaRequest::ApiGatewayV1(event) => (&mut event.headers, &event.multi_value_headers),
        LambdaRequest::Alb(event) => (&mut event.headers, &event.multi_value_headers),
        _ => return,
    };
    for name in all_values.keys() {
        if all_values.get_all(name).iter().nth(1).is_some() {
            last_values.remove(name);
        }
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

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use lambda_http::Body;
    use serde_json::{Value, json};

    use super::*;

    /// The values of a header in the request of an event.
    fn values(event: &Value, name: &str) -> Vec<String> {
        let HttpEvent(request) = serde_json::from_value(event.clone()).unwrap();
        let request: Request<Body> = request.into();
        let values = request.headers().get_all(name).into_iter();
        let texts = values.map(|value| value.to_str().unwrap().to_owned());
        texts.collect()
    }

    #[test]
    fn all_values_of_a_repeated_header_are_kept() {
        for event in [
            include_str!("../../events/api/rest-v1/get-task.json"),
            include_str!("../../events/api/alb-multi-value/get-task.json"),
        ] {
            let mut event: Value = serde_json::from_str(event).unwrap();
            let host = values(&event, "host");
            assert_eq!(host.len(), 1);
            event["multiValueHeaders"]["Authorization"] = json!(["Bearer a", "Bearer b"]);
            if event["headers"].is_object() {
                event["headers"]["Authorization"] = json!("Bearer b");
            }
            assert_eq!(values(&event, "authorization"), ["Bearer a", "Bearer b"]);
            assert_eq!(values(&event, "host"), host);
        }
    }

    #[test]
    fn names_that_differ_in_case_are_one_header() {
        let event = include_str!("../../events/api/rest-v1/get-task.json");
        let mut event: Value = serde_json::from_str(event).unwrap();
        for (name, value) in [("Authorization", "Bearer a"), ("authorization", "Bearer b")] {
            event["headers"][name] = json!(value);
            event["multiValueHeaders"][name] = json!([value]);
        }
        assert_eq!(values(&event, "authorization"), ["Bearer a", "Bearer b"]);
    }
}
