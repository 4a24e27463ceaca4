//! `/api/push`: where to subscribe to changes.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use serde::Serialize;
use shared::model::RecordId;
use shared::push_sink::Channel;
use shared::task_reader::Representation;
use shared::validator::Validator;

use crate::etag::IfNoneMatch;
#[cfg(test)]
use crate::openapi::parameters::{IfNoneMatchHeader, WatchedTask};
use crate::problem::ApiError;
use crate::query::QueryParameters;
use crate::state::ApiState;

/// The OpenAPI description of this route.
#[cfg(test)]
#[derive(utoipa::OpenApi)]
#[openapi(paths(show))]
pub(super) struct Description;

pub(super) fn routes() -> Router<ApiState> {
    Router::new().route("/api/push", get(show))
}

/// Where to subscribe to changes of tasks. The protocol is that of AppSync Events.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(crate) struct Push {
    /// The URL of the WebSocket, absolute or relative to the root of this API. `null` if there is no
    /// push: ask again instead, with the `ETag` that you have.
    #[cfg_attr(test, schema(required))]
    url: Option<String>,
    /// The `host` of each authorization. `null`: the host of this API.
    #[cfg_attr(test, schema(required))]
    host: Option<String>,
    /// The channel with the entry in lists of every run that changes.
    tasks: String,
    /// The channel with the runs of the task `task_id`. `null` without that parameter.
    #[cfg_attr(test, schema(required))]
    task: Option<String>,
}

/// Tells where to subscribe to changes
#[cfg_attr(test, utoipa::path(
    get, path = "/api/push", operation_id = "getPush", tag = "service",
    params(WatchedTask, IfNoneMatchHeader),
    responses((status = 200, description = "Where to subscribe", body = Push)),
    security(("token" = ["progress:read"])),
    extensions(("x-problems" = json!(["invalid-parameters"])))
))]
async fn show(
    State(state): State<ApiState>,
    mut parameters: QueryParameters,
    known: IfNoneMatch,
) -> Result<Response, ApiError> {
    let id: Option<RecordId> = parameters.one("task_id");
    parameters.finish()?;
    let (url, host) = match state.push {
        Some(push) => (Some(push.url), push.host),
        None => (None, None),
    };
    let json = serde_json::to_vec(&Push {
        url,
        host,
        tasks: Channel::Tasks.to_string(),
        task: id.map(|id| Channel::of_task(id.task_id()).to_string()),
    });
    let json = json.expect("records have string keys and no fallible serializer");
    let validator = Validator::of_bytes(&json);
    Ok(known.respond(Representation { validator, json }))
}
