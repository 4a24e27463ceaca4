//! `/health`: the process runs. `/ready`: DynamoDB and Redis respond.

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

#[cfg(test)]
use crate::openapi::schemas::{Health, Readiness};
use crate::problem::ApiError;
use crate::response::JsonBytes;
use crate::state::ApiState;

/// A service that takes longer to answer counts as down.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// The OpenAPI description of these routes.
#[cfg(test)]
#[derive(utoipa::OpenApi)]
#[openapi(paths(health, ready))]
pub(super) struct Description;

pub(super) fn routes() -> Router<ApiState> {
    Router::new()
        .route("/health", get(health))
        .route("/ready", get(ready))
}

/// Reports that the process runs; checks no other service
#[cfg_attr(test, utoipa::path(
    get, path = "/health", operation_id = "getHealth", tag = "service",
    responses((status = 200, description = "The process runs", body = Health)),
))]
async fn health() -> Response {
    not_stored(JsonBytes(br#"{"status":"healthy"}"#.to_vec()))
}

/// Reports the state of the services that the API needs
#[cfg_attr(test, utoipa::path(
    get, path = "/ready", operation_id = "getReadiness", tag = "service",
    responses((status = 200, description = "DynamoDB answers", body = Readiness)),
    security(("token" = ["progress:read"])),
    extensions(("x-problems" = json!(["not-ready"])))
))]
async fn ready(State(state): State<ApiState>) -> Result<Response, ApiError> {
    let redis = async {
        match &state.cache {
            Some(cache) => Some(ping("redis", cache.ping()).await),
            None => None,
        }
    };
    let tables = async { tokio::try_join!(state.tasks.ping(), state.projects.ping()).map(drop) };
    let (redis, dynamodb) = tokio::join!(redis, ping("dynamodb", tables));
    let is_ready = dynamodb.is_up;
    let mut members = Map::new();
    members.insert("dynamodb".to_owned(), dynamodb.to_json());
    let disabled = || json!({"status": "disabled", "latency_ms": null});
    let redis = redis.map_or_else(disabled, |redis| redis.to_json());
    members.insert("redis".to_owned(), redis);
    if !is_ready {
        return Err(ApiError::NotReady(members));
    }
    members.insert("status".to_owned(), "ready".into());
    let json = Value::Object(members).to_string();
    Ok(not_stored(JsonBytes(json.into_bytes())))
}

/// The outcome of a ping.
struct PingOutcome {
    is_up: bool,
    latency: Duration,
}

impl PingOutcome {
    fn to_json(&self) -> Value {
        let status = if self.is_up { "ok" } else { "down" };
        let latency_ms = u64::try_from(self.latency.as_millis()).unwrap_or(u64::MAX);
        json!({"status": status, "latency_ms": latency_ms})
    }
}

async fn ping<E: Error + 'static>(
    service: &'static str,
    ping: impl Future<Output = Result<(), E>>,
) -> PingOutcome {
    let start = Instant::now();
    let is_up = match timeout(PING_TIMEOUT, ping).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            warn!(service, error = error_chain(&error), "a service is down");
            false
        }
        Err(_) => {
            warn!(service, "a service does not answer");
            false
        }
    };
    PingOutcome {
        is_up,
        latency: start.elapsed(),
    }
}

/// A response that clients must not store.
fn not_stored(json: JsonBytes) -> Response {
    let no_store = HeaderValue::from_static("no-store");
    ([(CACHE_CONTROL, no_store)], json).into_response()
}
