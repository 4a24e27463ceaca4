//! One id for each request, in the logs, in problems and on every answer.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use lambda_http::RequestExt as _;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request: that of the Lambda invocation, or a UUID where there is none. What the client
/// sends is not taken: it could say anything.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub(crate) String);

/// Gives the request an id, and puts it on the answer.
pub(crate) async fn assign(mut request: Request, next: Next) -> Response {
    let invocation = request.lambda_context_ref();
    let id = match invocation.map(|context| context.request_id.as_str()) {
        Some(id) if !id.is_empty() => id.to_owned(),
        _ => uuid::Uuid::new_v4().to_string(),
    };
    request.extensions_mut().insert(RequestId(id.clone()));
    let mut response = next.run(request).await;
    if let Ok(value) = HeaderValue::try_from(id) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    response
}
