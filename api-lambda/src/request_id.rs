//! The id of a request: in the logs, in problems and in a header of every response.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use lambda_http::RequestExt as _;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of the Lambda invocation, or a UUID outside of Lambda. An id from the client is ignored,
/// because it can be any text.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub(crate) String);

impl RequestId {
    /// The id of `request`. Creates it if the request has none.
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

/// Adds the header `X-Request-Id`.
pub(crate) fn set_header(response: &mut Response, RequestId(id): RequestId) {
    if let Ok(value) = HeaderValue::try_from(id) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
}
