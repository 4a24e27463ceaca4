//! Requests to an instance of the API.

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;

/// A response and its whole body.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) etag: Option<String>,
    /// The body; null if there is none.
    pub(crate) json: Value,
}

/// Sends a request to one instance of the API.
pub(crate) async fn send(
    api: &Router,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> Response {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = match body {
        Some(json) => {
            request = request.header("content-type", "application/json");
            Body::from(json.to_string())
        }
        None => Body::empty(),
    };
    let response = api.clone().oneshot(request.body(body).unwrap()).await;
    let (parts, body) = response.unwrap().into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let etag = parts.headers.get("etag");
    Response {
        status: parts.status,
        etag: etag.map(|etag| etag.to_str().unwrap().to_owned()),
        json: serde_json::from_slice(&bytes).unwrap_or_default(),
    }
}
