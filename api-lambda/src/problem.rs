//! The one place where errors become HTTP: `application/problem+json` of RFC 9457.
//!
//! The `type` of a problem is stable; clients may tell problems apart by it. Statuses: 400 for what can't
//! be read, 401 for a sender who is not known and 403 for one who may not do this, 422 for what can be read
//! and makes no sense, 409 for what is there already; 500 is a bug, 503 a part that does not answer (try
//! again). Of what lies inside, the client sees nothing and the log all.

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
use shared::model::{ProjectId, TaskId};
use shared::store::StoreError;
use tracing::error;

use crate::auth::{Refusal, Scope};
use crate::body::MAX_BODY_BYTES;
use crate::envelope::Asked;
use crate::request_id::RequestId;

pub(crate) use kind::Kind;

/// After how many seconds a client may try again what failed for want of the store.
const RETRY_AFTER_SECONDS: u16 = 2;

/// What is wrong with one field of a body, or one parameter of a query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct FieldError {
    /// Its name; `progress.total` and `match[3]` for what lies deeper.
    pub(crate) field: String,
    /// What it must be.
    pub(crate) detail: String,
}

/// Why a request is not answered as its sender hoped. The messages are for that sender.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("{0}")]
    Unauthenticated(Refusal),
    #[error("the token must have the scope {}", .0.name())]
    InsufficientScope(Scope),
    #[error("there is nothing at this path")]
    UnknownPath,
    #[error("this path does not take that method; see the Allow header")]
    MethodNotAllowed,
    #[error("there is no task {0}")]
    TaskNotFound(TaskId),
    #[error("there is no project {0}")]
    ProjectNotFound(ProjectId),
    #[error("task {0} exists already")]
    TaskExists(TaskId),
    #[error("project {0} exists already")]
    ProjectExists(ProjectId),
    #[error("task {0} is no longer in the state that If-Match names; read it again")]
    TaskChanged(TaskId),
    #[error("project {0} is no longer in the state that If-Match names; read it again")]
    ProjectChanged(ProjectId),
    #[error("{0}")]
    InvalidTransition(InvalidTransition),
    #[error("this Idempotency-Key was used for another request within 24 hours; use a new one")]
    IdempotencyKeyReused,
    #[error("the path or the query has values that can't be used")]
    InvalidParameters(Vec<FieldError>),
    #[error("the body is not valid JSON in UTF-8")]
    MalformedBody,
    #[error("the body has fields that can't be used")]
    InvalidFields(Vec<FieldError>),
    #[error("the body must be sent as application/json")]
    UnsupportedMediaType,
    #[error("the body must not be larger than {MAX_BODY_BYTES} bytes")]
    BodyTooLarge,
    #[error("a part that the API needs does not answer")]
    NotReady(Map<String, Value>),
    #[error("the request could not be handled for the moment; try again")]
    Unavailable(#[source] StoreError),
    #[error("the request could not be handled")]
    Internal(#[source] StoreError),
    #[error("the request could not be handled")]
    Panicked,
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            // Where a conflict means something, the handler has taken it out.
            StoreError::Unavailable { .. } | StoreError::Conflict(_) => Self::Unavailable(error),
            StoreError::Refused { .. } | StoreError::Corrupt { .. } => Self::Internal(error),
        }
    }
}

impl ApiError {
    fn kind(&self) -> Kind {
        match self {
            Self::Unauthenticated(_) => Kind::Unauthenticated,
            Self::InsufficientScope(_) => Kind::InsufficientScope,
            Self::UnknownPath => Kind::UnknownPath,
            Self::MethodNotAllowed => Kind::MethodNotAllowed,
            Self::TaskNotFound(_) => Kind::TaskNotFound,
            Self::ProjectNotFound(_) => Kind::ProjectNotFound,
            Self::TaskExists(_) => Kind::TaskExists,
            Self::ProjectExists(_) => Kind::ProjectExists,
            Self::TaskChanged(_) | Self::ProjectChanged(_) => Kind::PreconditionFailed,
            Self::InvalidTransition(_) => Kind::InvalidTransition,
            Self::IdempotencyKeyReused => Kind::IdempotencyKeyReused,
            Self::InvalidParameters(_) => Kind::InvalidParameters,
            Self::MalformedBody => Kind::MalformedBody,
            Self::InvalidFields(_) => Kind::InvalidFields,
            Self::UnsupportedMediaType => Kind::UnsupportedMediaType,
            Self::BodyTooLarge => Kind::BodyTooLarge,
            Self::NotReady(_) => Kind::NotReady,
            Self::Unavailable(_) => Kind::Unavailable,
            Self::Internal(_) | Self::Panicked => Kind::Internal,
        }
    }
}

impl ApiError {
    /// What `WWW-Authenticate` says (RFC 6750, section 3), where a token, or another one, would help.
    fn challenge(&self) -> Option<String> {
        let realm = r#"Bearer realm="miyabi-progress""#;
        match self {
            Self::Unauthenticated(refusal) if refusal.is_of_a_token() => Some(format!(
                r#"{realm}, error="invalid_token", error_description="{refusal}""#
            )),
            Self::Unauthenticated(_) => Some(realm.to_owned()),
            Self::InsufficientScope(scope) => Some(format!(
                r#"{realm}, error="insufficient_scope", error_description="{self}", scope="{}""#,
                scope.name()
            )),
            _ => None,
        }
    }
}

impl IntoResponse for ApiError {
    /// An answer without a body: [`render`] writes it, once the id of the request is known.
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

/// A problem on its way out.
#[derive(Clone)]
struct Problem {
    name: &'static str,
    title: &'static str,
    status: StatusCode,
    detail: String,
    /// For the log.
    cause: String,
    errors: Vec<FieldError>,
    members: Map<String, Value>,
}

impl Problem {
    /// The problem of an answer that says it is one by its status alone.
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

/// A problem as the client gets it.
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

/// Writes the bodies of problems, and says in the log what went wrong on our side.
pub(crate) fn render(asked: &Asked, response: &mut Response) {
    let status = response.status();
    let problem = response.extensions_mut().remove::<Problem>();
    let problem = problem.or_else(|| {
        let is_error = status.is_client_error() || status.is_server_error();
        is_error.then(|| Problem::of_status(status))
    });
    let Some(problem) = problem else {
        return;
    };
    let RequestId(request_id) = &asked.request_id;
    if problem.status.is_server_error() {
        let Problem { name, cause, .. } = &problem;
        error!(request_id, problem = name, error = cause, "request failed");
    }
    let document = Document {
        kind: format!("/problems/{}", problem.name),
        title: problem.title,
        status: problem.status.as_u16(),
        detail: &problem.detail,
        instance: asked.uri.path(),
        request_id,
        errors: &problem.errors,
        members: &problem.members,
    };
    let body = serde_json::to_vec(&document).unwrap_or_default();
    response.headers_mut().remove(CONTENT_LENGTH);
    let content_type = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    *response.body_mut() = if asked.method == Method::HEAD {
        Body::empty()
    } else {
        Body::from(body)
    };
}

/// The answer where no route is.
pub(crate) async fn unknown_path() -> ApiError {
    ApiError::UnknownPath
}

/// The answer where a route is, but not for this method. The router adds `Allow`, which is all that OPTIONS
/// asks for.
pub(crate) async fn method_not_allowed(method: Method) -> Result<StatusCode, ApiError> {
    if method == Method::OPTIONS {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(ApiError::MethodNotAllowed)
}

/// The answer where a handler panicked. What it said was printed by the panic hook, for the log alone.
pub(crate) fn of_panic(_: Box<dyn Any + Send>) -> Response {
    ApiError::Panicked.into_response()
}
