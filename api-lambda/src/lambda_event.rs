//! The events of the services that invoke the function, and the loop that answers them.

use axum::Router;
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use lambda_http::lambda_runtime::{self, service_fn};
use lambda_http::request::LambdaRequest;
use lambda_http::{Adapter, LambdaEvent};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use shared::model::Timestamp;
use tower::{Service as _, ServiceExt as _};

use crate::auth::{Auth, AuthorizerDecision, AuthorizerEvent};

/// An event that invokes the function.
#[derive(Debug)]
enum FunctionEvent {
    /// Of an HTTP API, a REST API, a function URL or a load balancer.
    Http(Box<LambdaRequest>),
    /// AppSync Events asks whether a subscriber is authorized.
    PushAuthorizer(AuthorizerEvent),
}

/// What the function answers.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum FunctionResponse<R> {
    Http(R),
    PushAuthorizer(AuthorizerDecision),
}

impl<'de> Deserialize<'de> for FunctionEvent {
    /// Tries the most frequent kind of event first. [`LambdaRequest`] tries one kind after the
    /// other, and a failed attempt costs as much as a successful one.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        if may_be_version_2(raw.get())
            && let Ok(request) = serde_json::from_str::<ApiGatewayV2httpRequest>(raw.get())
            && request.version.as_deref() == Some("2.0")
        {
            return Ok(Self::Http(Box::new(LambdaRequest::ApiGatewayV2(request))));
        }
        // It has this member at the top, where no other event has it.
        if contains(raw.get(), r#""authorizationToken""#)
            && let Ok(event) = serde_json::from_str(raw.get())
        {
            return Ok(Self::PushAuthorizer(event));
        }
        let mut request = serde_json::from_str(raw.get()).map_err(D::Error::custom)?;
        keep_repeated_headers(&mut request);
        Ok(Self::Http(Box::new(request)))
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
    SPELLINGS.iter().any(|spelling| contains(event, spelling))
}

fn contains(event: &str, text: &str) -> bool {
    memchr::memmem::find(event.as_bytes(), text.as_bytes()).is_some()
}

/// Passes requests to `router`, and answers AppSync Events by `auth`, until the process ends.
///
/// # Errors
///
/// If the Lambda Runtime API can't be reached.
pub async fn run(router: Router, auth: Auth) -> Result<(), lambda_http::Error> {
    let http = Adapter::from(router.into_service());
    let service = service_fn(move |event: LambdaEvent<FunctionEvent>| {
        let mut http = http.clone();
        let auth = auth.clone();
        async move {
            let LambdaEvent { payload, context } = event;
            match payload {
                FunctionEvent::Http(request) => {
                    let event = LambdaEvent::new(*request, context);
                    let response = http.ready().await?.call(event).await?;
                    Ok::<_, lambda_http::Error>(FunctionResponse::Http(response))
                }
                FunctionEvent::PushAuthorizer(event) => {
                    let decision = auth.decide_push(&event, Timestamp::now());
                    Ok(FunctionResponse::PushAuthorizer(decision))
                }
            }
        }
    });
    lambda_runtime::run(service).await
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use lambda_http::Body;
    use serde_json::{Value, json};

    use super::*;

    /// The values of a header in the request of an event.
    fn values(event: &Value, name: &str) -> Vec<String> {
        let FunctionEvent::Http(request) = serde_json::from_value(event.clone()).unwrap() else {
            panic!("no request: {event}");
        };
        let request: Request<Body> = (*request).into();
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
    fn only_a_question_of_appsync_is_one() {
        let question = include_str!("../../events/push-authorizer/subscribe.json");
        for question in [
            question,
            include_str!("../../events/push-authorizer/connect.json"),
        ] {
            let event = serde_json::from_str(question).unwrap();
            assert!(matches!(event, FunctionEvent::PushAuthorizer(_)));
        }
        let mut request: Value =
            serde_json::from_str(include_str!("../../events/api/rest-v1/get-task.json")).unwrap();
        request["body"] = json!(question);
        request["headers"]["authorizationToken"] = json!("x");
        let event = serde_json::from_value(request).unwrap();
        assert!(matches!(event, FunctionEvent::Http(_)));
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
