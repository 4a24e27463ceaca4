//! `/api/overview`: what needs attention, and exact counts of everything.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;

use crate::etag::IfNoneMatch;
#[cfg(test)]
use crate::openapi::{parameters::IfNoneMatchHeader, schemas};
use crate::problem::ApiError;
use crate::query::QueryParameters;
use crate::state::ApiState;

/// The OpenAPI description of this route.
#[cfg(test)]
#[derive(utoipa::OpenApi)]
#[openapi(paths(show))]
pub(super) struct Description;

pub(super) fn routes() -> Router<ApiState> {
    Router::new().route("/api/overview", get(show))
}

/// Shows what needs attention, the counts of all tasks, and all projects
#[cfg_attr(test, utoipa::path(
    get, path = "/api/overview", operation_id = "getOverview", tag = "tasks",
    params(IfNoneMatchHeader),
    responses((status = 200, description = "The overview", body = schemas::Overview)),
    security(("token" = ["progress:read"])),
    extensions(("x-problems" = json!(["invalid-parameters", "unavailable"])))
))]
async fn show(
    State(state): State<ApiState>,
    parameters: QueryParameters,
    known: IfNoneMatch,
) -> Result<Response, ApiError> {
    parameters.finish()?;
    let now = state.now();
    let reading = state.reader.overview(known.validators(), now).await?;
    Ok(known.respond_to(reading))
}
