//! `/openapi.json`: the OpenAPI document. `/docs`: a page that shows it, and can send requests.
//!
//! The files are compiled into the program. The page is our own, because an existing viewer has a
//! megabyte or more and needs a laxer content security policy.

use std::sync::OnceLock;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use shared::validator::Validator;

use crate::etag::IfNoneMatch;
#[cfg(test)]
use crate::openapi::parameters::IfNoneMatchHeader;
use crate::state::ApiState;

/// The document. A test generates it from the handlers and compares.
pub(crate) const OPENAPI: &[u8] = include_bytes!("../../openapi.json");

/// The page can load only its own files, and can send requests only to this API.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

static DOCUMENT: StaticFile = StaticFile::new("application/json", OPENAPI);
static PAGE: StaticFile = StaticFile::new(
    "text/html; charset=utf-8",
    include_bytes!("../../assets/docs/docs.html"),
);
static STYLE: StaticFile = StaticFile::new(
    "text/css; charset=utf-8",
    include_bytes!("../../assets/docs/docs.css"),
);
static SCRIPT: StaticFile = StaticFile::new(
    "text/javascript; charset=utf-8",
    include_bytes!("../../assets/docs/docs.js"),
);

/// The OpenAPI description of these routes.
#[cfg(test)]
#[derive(utoipa::OpenApi)]
#[openapi(paths(document, page))]
pub(super) struct Description;

pub(super) fn routes() -> Router<ApiState> {
    Router::new()
        .route("/openapi.json", get(document))
        .route("/docs", get(page))
        .route("/docs/docs.css", get(style))
        .route("/docs/docs.js", get(script))
}

/// Returns the OpenAPI document of this API
#[cfg_attr(test, utoipa::path(
    get, path = "/openapi.json", operation_id = "getOpenApi", tag = "service",
    params(IfNoneMatchHeader),
    responses((status = 200, description = "This document", content_type = "application/json", body = serde_json::Value)),
))]
async fn document(known: IfNoneMatch) -> Response {
    DOCUMENT.respond(&known)
}

/// Returns the documentation of this API as a page
#[cfg_attr(test, utoipa::path(
    get, path = "/docs", operation_id = "getDocs", tag = "service",
    params(IfNoneMatchHeader),
    responses((status = 200, description = "The page", content_type = "text/html", body = String)),
))]
async fn page(known: IfNoneMatch) -> Response {
    let mut response = PAGE.respond(&known);
    let policy = HeaderValue::from_static(POLICY);
    response
        .headers_mut()
        .insert(CONTENT_SECURITY_POLICY, policy);
    response
}

async fn style(known: IfNoneMatch) -> Response {
    STYLE.respond(&known)
}

async fn script(known: IfNoneMatch) -> Response {
    SCRIPT.respond(&known)
}

/// A file that is compiled into the program.
struct StaticFile {
    content_type: &'static str,
    bytes: &'static [u8],
    /// The validator of the bytes; computed at the first request.
    validator: OnceLock<Validator>,
}

impl StaticFile {
    const fn new(content_type: &'static str, bytes: &'static [u8]) -> Self {
        Self {
            content_type,
            bytes,
            validator: OnceLock::new(),
        }
    }

    /// The file, or 304 if the client has it.
    fn respond(&self, known: &IfNoneMatch) -> Response {
        let make = || Validator::of_bytes(self.bytes);
        let validator = self.validator.get_or_init(make);
        known.respond_with(validator, || {
            let content_type = HeaderValue::from_static(self.content_type);
            let body = Body::from(Bytes::from_static(self.bytes));
            ([(CONTENT_TYPE, content_type)], body).into_response()
        })
    }
}
