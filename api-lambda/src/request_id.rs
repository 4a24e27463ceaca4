//! One id for each request, in the logs, in problems and on every answer.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use lambda_http::RequestExt as _;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request: that of the Lambda invocation, or a UUID where there is none. What the client
/// sends is not taken: it could say anything.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub(crate) String);

impl RequestId {
    /// The one that a request has, or else gets.
    pub(crate) fn of(request: &Request) -> Self {
        if let Some(id) = request.extensions().get::<Self>() {
            return id.clone();
        }
        let invocation = request.lambda_context_ref();
        Self(
            match invocation.map(|context| context.request_id.as_str()) {
                Some(id) if !id.is_empty() => id.to_owned(),
                _ => uuid::Uuid::new_v4().to_string(),
            },
        )
    }
}

/// Names it on the answer.
pub(crate) fn put_on(response: &mut Response, RequestId(id): RequestId) {
    if let Ok(value) = HeaderValue::try_from(id) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
}
