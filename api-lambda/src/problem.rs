//! The one place where errors become HTTP responses: `application/problem+json` (RFC 9457).
//!
//! Clients may rely on the `type` of a problem. Statuses:
//!
//! - 400: the request can't be parsed.
//! - 401, 403: the caller is unknown, or lacks a scope.
//! - 409: the present state conflicts with the request.
//! - 422: the body is JSON, but a field is wrong.
//! - 500: a bug.
//! - 503: a service that the API needs does not answer. The client can try again.
//!
//! The response hides internal causes. The log has them.

mod kind;

use std::any::Any;

use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};
use shared::error::error_chain;
use shared::fold::InvalidTransition;
use shared::log_source::LogSourceError;
use shared::model::{ProjectId, RecordId, RunId, TaskId};
use shared::store::StoreError;
use tracing::error;

use crate::request_id::RequestId;
use crate::request_meta::RequestMeta;

pub(crate) use kind::Kind;

/// The `Retry-After` of a 503.
const RETRY_AFTER_SECONDS: u16 = 2;

/// One wrong field of a body, parameter of a query, or header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct FieldError {
    /// The name. Nested names look like `progress.total` and `match[3]`.
    pub(crate) field: String,
    /// What the value must be.
    pub(crate) detail: String,
}

/// Why a request failed. The messages are for the client.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("{reason}")]
    Unauthenticated {
        /// ASCII without quotes: it is copied into a header.
        reason: String,
        /// Whether the request had a token.
        has_token: bool,
    },
    #[error("the token must have the scope {scope}")]
    InsufficientScope {
        /// With the prefix of the issuer. ASCII without quotes: it is copied into a header.
        scope: String,
    },
    #[error("this path does not exist")]
    UnknownPath,
    #[error("this path does not support the method; see the Allow header")]
    MethodNotAllowed,
    #[error("task {0} does not exist")]
    TaskNotFound(RecordId),
    #[error("project {0} does not exist")]
    ProjectNotFound(ProjectId),
    #[error("task {0} already exists and its newest run has not ended")]
    TaskExists(TaskId),
    #[error("project {0} already exists")]
    ProjectExists(ProjectId),
    #[error("{id} is an earlier run, which can't be changed; the id of the task is {}", .id.task_id)]
    EarlierRun { id: RunId },
    #[error("task {0} has changed since the state in If-Match; read it again")]
    TaskChanged(RecordId),
    #[error("project {0} has changed since the state in If-Match; read it again")]
    ProjectChanged(ProjectId),
    /// `None` if the caller may not know the present status.
    #[error("{}", .0.map_or("the task can't get this status".to_owned(), |it| it.to_string()))]
    InvalidTransition(Option<InvalidTransition>),
    #[error(
        "this Idempotency-Key was used for another request in the last 24 hours; use a new one"
    )]
    IdempotencyKeyReused,
    #[error("the path, the query or a header has invalid values")]
    InvalidParameters(Vec<FieldError>),
    #[error("the body is not valid JSON in UTF-8")]
    MalformedBody,
    #[error("the body is not valid gzip")]
    MalformedGzip,
    #[error("the body has invalid fields")]
    InvalidFields(Vec<FieldError>),
    #[error("the body must be JSON: set the header Content-Type: application/json")]
    UnsupportedMediaType,
    #[error(
        "the body must be text/plain, application/x-ndjson, or application/octet-stream for either \
         of them packed with gzip: set the header Content-Type"
    )]
    UnsupportedLines,
    #[error("the body must not be larger than {limit_bytes} bytes")]
    BodyTooLarge { limit_bytes: usize },
    #[error("the unpacked body must not be larger than {limit_bytes} bytes; send it in parts")]
    UnpackedBodyTooLarge { limit_bytes: usize },
    #[error("a service that the API needs does not answer")]
    NotReady(Map<String, Value>),
    #[error("the request can't be handled at the moment; try again")]
    Unavailable(#[source] StoreError),
    #[error("CloudWatch Logs can't be read at the moment; try again")]
    LogsUnavailable(#[source] LogSourceError),
    #[error("the request could not be handled; report its request_id")]
    Internal(#[source] StoreError),
    #[error("the request could not be handled; report its request_id")]
    Panicked,
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            // Handlers for which a conflict has another meaning match it before.
            StoreError::Unavailable { .. } | StoreError::Conflict(_) => Self::Unavailable(error),
            StoreError::Refused { .. } | StoreError::Corrupt { .. } => Self::Internal(error),
        }
    }
}

impl ApiError {
    fn kind(&self) -> Kind {
        match self {
            Self::Unauthenticated { .. } => Kind::Unauthenticated,
            Self::InsufficientScope { .. } => Kind::InsufficientScope,
            Self::UnknownPath => Kind::UnknownPath,
            Self::MethodNotAllowed => Kind::MethodNotAllowed,
            Self::TaskNotFound(_) => Kind::TaskNotFound,
            Self::ProjectNotFound(_) => Kind::ProjectNotFound,
            Self::TaskExists(_) => Kind::TaskExists,
            Self::ProjectExists(_) => Kind::ProjectExists,
            Self::EarlierRun { .. } => Kind::EarlierRun,
            Self::TaskChanged(_) | Self::ProjectChanged(_) => Kind::PreconditionFailed,
            Self::InvalidTransition(_) => Kind::InvalidTransition,
            Self::IdempotencyKeyReused => Kind::IdempotencyKeyReused,
            Self::InvalidParameters(_) => Kind::InvalidParameters,
            Self::MalformedBody | Self::MalformedGzip => Kind::MalformedBody,
            Self::InvalidFields(_) => Kind::InvalidFields,
            Self::UnsupportedMediaType | Self::UnsupportedLines => Kind::UnsupportedMediaType,
            Self::BodyTooLarge { .. } | Self::UnpackedBodyTooLarge { .. } => Kind::BodyTooLarge,
            Self::NotReady(_) => Kind::NotReady,
            Self::Unavailable(_) | Self::LogsUnavailable(_) => Kind::Unavailable,
            Self::Internal(_) | Self::Panicked => Kind::Internal,
        }
    }
}

impl ApiError {
    /// The `WWW-Authenticate` header (RFC 6750, section 3), if a token or another token would help.
    fn challenge(&self) -> Option<String> {
        let realm = r#"Bearer realm="miyabi-progress""#;
        match self {
            Self::Unauthenticated {
                reason,
                has_token: true,
            } => Some(format!(
                r#"{realm}, error="invalid_token", error_description="{reason}""#
            )),
            Self::Unauthenticated { .. } => Some(realm.to_owned()),
            Self::InsufficientScope { scope } => Some(format!(
                r#"{realm}, error="insufficient_scope", error_description="{self}", scope="{scope}""#
            )),
            _ => None,
        }
    }
}

impl IntoResponse for ApiError {
    /// A response without a body. [`render`] adds the body, which has the id of the request.
    fn into_response(self) -> Response {
        let (status, name, title) = self.kind().parts();
        let challenge = self.challenge().map(HeaderValue::try_from);
        let problem = Problem {
            name,
            title,
            status,
            detail: self.to_string(),
            cause: error_chain(&self),
            errors: Vec::new(),
            members: Map::new(),
        };
        let problem = match self {
            Self::InvalidParameters(errors) | Self::InvalidFields(errors) => {
                Problem { errors, ..problem }
            }
            Self::NotReady(members) => Problem { members, ..problem },
            _ => problem,
        };
        let mut response = status.into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let seconds = HeaderValue::from(RETRY_AFTER_SECONDS);
            response.headers_mut().insert(RETRY_AFTER, seconds);
        }
        if let Some(Ok(challenge)) = challenge {
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response.extensions_mut().insert(problem);
        response
    }
}

/// A problem whose body is not written yet.
#[derive(Clone)]
struct Problem {
    name: &'static str,
    title: &'static str,
    status: StatusCode,
    detail: String,
    /// The error and its sources, for the log.
    cause: String,
    errors: Vec<FieldError>,
    members: Map<String, Value>,
}

impl Problem {
    /// The problem for a response that has an error status and no problem.
    fn of_status(status: StatusCode) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        Self {
            name: "other",
            title,
            status,
            detail: title.to_lowercase(),
            cause: title.to_lowercase(),
            errors: Vec::new(),
            members: Map::new(),
        }
    }
}

/// The body of a problem.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    instance: &'a str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
    #[serde(flatten)]
    members: &'a Map<String, Value>,
}

/// Writes the body of a problem, and logs it if the fault is ours.
pub(crate) fn render(meta: &RequestMeta, response: &mut Response) {
    let status = response.status();
    let problem = response.extensions_mut().remove::<Problem>();
    let problem = problem.or_else(|| {
        let is_error = status.is_client_error() || status.is_server_error();
        is_error.then(|| Problem::of_status(status))
    });
    let Some(problem) = problem else {
        return;
    };
    let RequestId(request_id) = &meta.request_id;
    if problem.status.is_server_error() {
        let Problem { name, cause, .. } = &problem;
        error!(request_id, problem = name, error = cause, "request failed");
    }
    let document = Document {
        kind: format!("/problems/{}", problem.name),
        title: problem.title,
        status: problem.status.as_u16(),
        detail: &problem.detail,
        instance: meta.uri.path(),
        request_id,
        errors: &problem.errors,
        members: &problem.members,
    };
    let body = serde_json::to_vec(&document).unwrap_or_default();
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    let content_type = HeaderValue::from_static("application/problem+json");
    headers.insert(CONTENT_TYPE, content_type);
    *response.body_mut() = Body::from(body);
}

/// The response when no route matches the path.
pub(crate) async fn unknown_path() -> ApiError {
    ApiError::UnknownPath
}

/// The response when a route matches the path but not the method. The router adds `Allow`, which
/// answers OPTIONS.
pub(crate) async fn method_not_allowed(method: Method) -> Result<StatusCode, ApiError> {
    if method == Method::OPTIONS {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(ApiError::MethodNotAllowed)
}

/// The response when a handler panicked. The panic hook has logged the message.
pub(crate) fn of_panic(_: Box<dyn Any + Send>) -> Response {
    ApiError::Panicked.into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use axum::extract::Request;

    use super::*;

    /// The body of the response to a request that failed with `error`.
    async fn body(error: ApiError) -> String {
        let mut response = error.into_response();
        let request = Request::get("/api/tasks").body(Body::empty()).unwrap();
        render(&RequestMeta::of(&request), &mut response);
        let body = to_bytes(response.into_body(), 1000).await.unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_store_that_refuses_a_request_is_an_internal_error() {
        let error = StoreError::Refused {
            operation: "an operation",
            source: "a cause".into(),
        };
        let body = body(error.into()).await;
        assert!(body.contains(r#""/problems/internal""#), "{body}");
        assert!(body.contains(r#""status":500"#), "{body}");
        assert!(
            !body.contains("operation") && !body.contains("cause"),
            "{body}"
        );
    }
}
