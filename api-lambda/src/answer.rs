//! Answers that are no problems, and the headers that all answers have in common.

use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::envelope::Asked;
use crate::front_door::BasePath;

/// What no browser may do with an answer, unless the answer says otherwise itself.
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

/// An answer in JSON that is ready to be sent.
pub(crate) struct Json(pub(crate) Vec<u8>);

impl IntoResponse for Json {
    fn into_response(self) -> Response {
        let content_type = HeaderValue::from_static("application/json");
        ([(CONTENT_TYPE, content_type)], Body::from(self.0)).into_response()
    }
}

/// The answer to a request that has made something, which from now on is found at `path`.
pub(crate) fn created(base: &BasePath, path: &str, json: Vec<u8>) -> Response {
    let mut response = (StatusCode::CREATED, Json(json)).into_response();
    if let Ok(location) = HeaderValue::try_from(format!("{}{path}", base.as_str())) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

/// Sets the headers that every answer has.
///
/// What was read may be kept by the reader alone, and is to be asked for again each time; all else must
/// not be kept. Names and messages come from logs, which anyone may write: no browser may take an answer
/// for a page.
pub(crate) fn finish(asked: &Asked, response: &mut Response) {
    let is_found = response.status().is_success() || response.status() == StatusCode::NOT_MODIFIED;
    let keep = if asked.is_read() && is_found {
        "private, max-age=0, must-revalidate"
    } else {
        "no-store"
    };
    let headers = response.headers_mut();
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static(keep));
    for (name, value) in SECURITY_HEADERS {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
}
