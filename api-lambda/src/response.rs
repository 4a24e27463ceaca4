//! Successful responses, and the headers that all responses have.

use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::request_meta::RequestMeta;

/// The security headers of responses that do not set their own.
const SECURITY_HEADERS: [(HeaderName, &str); 5] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'",
    ),
    (STRICT_TRANSPORT_SECURITY, "max-age=63072000"),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

/// A response body that is JSON already.
pub(crate) struct JsonBytes(pub(crate) Vec<u8>);

impl IntoResponse for JsonBytes {
    fn into_response(self) -> Response {
        let content_type = HeaderValue::from_static("application/json");
        ([(CONTENT_TYPE, content_type)], Body::from(self.0)).into_response()
    }
}

/// Adds the headers that every response has.
///
/// Clients may store the response of a successful read, but must revalidate it at each use. They
/// must not store any other response.
///
/// Names and messages come from logs, which can contain anything. The security headers keep
/// browsers from rendering a response as a page.
pub(crate) fn add_common_headers(meta: &RequestMeta, response: &mut Response) {
    let is_found = response.status().is_success() || response.status() == StatusCode::NOT_MODIFIED;
    let cache_control = if meta.is_read() && is_found {
        "private, max-age=0, must-revalidate"
    } else {
        "no-store"
    };
    let headers = response.headers_mut();
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static(cache_control));
    for (name, value) in SECURITY_HEADERS {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
}
