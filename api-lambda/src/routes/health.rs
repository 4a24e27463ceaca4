//! `/health`: the function runs. `/ready`: the parts behind it answer.

use std::error::Error;
use std::future::Future;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Map, Value, json};
use shared::error::error_chain;
use tokio::time::{Instant, timeout};
use tracing::warn;

use crate::answer::Json;
#[cfg(test)]
use crate::openapi::{Health, Readiness};
use crate::problem::ApiError;
use crate::state::ApiState;

/// How long a part may take to answer before it counts as down.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// The routes, described.
#[cfg(test)]
#[derive(utoipa::OpenApi)]
#[openapi(paths(health, ready))]
pub(crate) struct Described;

pub(crate) fn routes() -> Router<ApiState> {
    Router::new()
        .route("/health", get(health))
        .route("/ready", get(ready))
}

/// Tells that the process runs; asks nobody
#[cfg_attr(test, utoipa::path(
    get, path = "/health", operation_id = "getHealth", tag = "service",
    responses((status = 200, description = "It runs", body = Health)),
))]
async fn health() -> Response {
    fresh(Json(br#"{"status":"healthy"}"#.to_vec()))
}

/// Tells how the parts behind the API are
#[cfg_attr(test, utoipa::path(
    get, path = "/ready", operation_id = "getReadiness", tag = "service",
    responses((status = 200, description = "DynamoDB answers", body = Readiness)),
    security(("token" = ["progress:read"])),
    extensions(("x-problems" = json!(["not-ready"])))
))]
async fn ready(State(state): State<ApiState>) -> Result<Response, ApiError> {
    let redis = async {
        match &state.cache {
            Some(cache) => Some(measure("redis", cache.ping()).await),
            None => None,
        }
    };
    let (redis, dynamodb) = tokio::join!(redis, measure("dynamodb", state.tasks.ping()));
    let is_ready = dynamodb.is_up;
    let mut members = Map::new();
    members.insert("dynamodb".to_owned(), dynamodb.shown());
    let disabled = || json!({"status": "disabled", "latency_ms": null});
    let redis = redis.map_or_else(disabled, |redis| redis.shown());
    members.insert("redis".to_owned(), redis);
    if !is_ready {
        return Err(ApiError::NotReady(members));
    }
    members.insert("status".to_owned(), "ready".into());
    let json = Value::Object(members).to_string();
    Ok(fresh(Json(json.into_bytes())))
}

/// What came of asking a part whether it is there.
struct Measured {
    is_up: bool,
    latency: Duration,
}

impl Measured {
    fn shown(&self) -> Value {
        let status = if self.is_up { "ok" } else { "down" };
        let latency_ms = u64::try_from(self.latency.as_millis()).unwrap_or(u64::MAX);
        json!({"status": status, "latency_ms": latency_ms})
    }
}

async fn measure<E: Error + 'static>(
    part: &'static str,
    ping: impl Future<Output = Result<(), E>>,
) -> Measured {
    let start = Instant::now();
    let is_up = match timeout(PING_TIMEOUT, ping).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            warn!(part, error = error_chain(&error), "a part is down");
            false
        }
        Err(_) => {
            warn!(part, "a part does not answer");
            false
        }
    };
    Measured {
        is_up,
        latency: start.elapsed(),
    }
}

/// An answer that is true for this moment alone.
fn fresh(json: Json) -> Response {
    let no_store = HeaderValue::from_static("no-store");
    ([(CACHE_CONTROL, no_store)], json).into_response()
}
