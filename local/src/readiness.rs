//! Tells in `/ready` that the database is damaged, and which file that is.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::Response;
use serde_json::{Map, Value};

use crate::embedded_dynamodb::Damage;

/// The most bytes of an answer of `/ready`.
const MOST_BYTES: usize = 64 * 1024;

/// Whether the database is damaged.
#[derive(Debug, Clone)]
pub(crate) struct Readiness(Arc<Damage>);

impl Readiness {
    pub(crate) fn new(damage: Arc<Damage>) -> Self {
        Self(damage)
    }

    /// Adds to the answers of `router`.
    pub(crate) fn tell(self, router: Router) -> Router {
        router.layer(middleware::from_fn_with_state(self, add_detail))
    }
}

/// The pings of the API may not meet what is damaged, so the answer is changed here.
async fn add_detail(
    State(Readiness(damage)): State<Readiness>,
    request: Request,
    next: Next,
) -> Response {
    let is_ready = request.uri().path() == "/ready";
    let response = next.run(request).await;
    let is_answer = [StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE].contains(&response.status());
    let detail = damage.detail().filter(|_| is_ready && is_answer);
    let Some(detail) = detail else {
        return response;
    };
    let (mut parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, MOST_BYTES).await;
    let members = body.map(|body| serde_json::from_slice(&body).unwrap_or_default());
    let mut problem: Map<String, Value> = members.unwrap_or_default();
    let status = StatusCode::SERVICE_UNAVAILABLE;
    problem.extend([
        ("type".to_owned(), "/problems/not-ready".into()),
        ("title".to_owned(), "Not ready".into()),
        ("status".to_owned(), status.as_u16().into()),
        ("detail".to_owned(), detail.into()),
        ("instance".to_owned(), "/ready".into()),
    ]);
    if let Some(Value::Object(dynamodb)) = problem.get_mut("dynamodb") {
        dynamodb.insert("status".to_owned(), "down".into());
    }
    parts.status = status;
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.remove(CONTENT_ENCODING);
    let json = HeaderValue::from_static("application/problem+json");
    parts.headers.insert(CONTENT_TYPE, json);
    Response::from_parts(parts, Body::from(Value::Object(problem).to_string()))
}
