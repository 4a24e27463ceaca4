//! `/api/tasks/{task_id}/log`: the last lines of a run.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use shared::log_tail::{TailLine, tail_of};
use shared::model::{RecordId, RunId};
use shared::server_timing::for_store;
use shared::task_reader::Representation;
use shared::validator::Validator;

use crate::etag::IfNoneMatch;
#[cfg(test)]
use crate::openapi::{
    parameters::{IfNoneMatchHeader, RunPath},
    schemas,
};
use crate::path_id::PathId;
use crate::problem::ApiError;
use crate::query::QueryParameters;
use crate::state::ApiState;

/// The last lines of a run.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = LogTail))]
pub(crate) struct LogTail {
    /// The run.
    #[cfg_attr(test, schema(value_type = schemas::RunId))]
    run_id: RunId,
    /// The lines, oldest first: at most 200. Empty if none is kept.
    #[cfg_attr(test, schema(value_type = Vec<schemas::LogLine>, max_items = 200))]
    lines: Vec<TailLine>,
}

/// Shows the last lines of a run
///
/// Lines that were sent to `POST /api/logs` are kept for 24 hours, and for 7 days if the run failed.
#[cfg_attr(test, utoipa::path(
    get, path = "/api/tasks/{task_id}/log", operation_id = "getTaskLog", tag = "tasks",
    params(RunPath, IfNoneMatchHeader),
    responses((status = 200, description = "The lines", body = LogTail)),
    security(("token" = ["progress:logs"])),
    extensions(("x-problems" = json!(["invalid-parameters", "task-not-found", "unavailable"])))
))]
pub(super) async fn show(
    State(state): State<ApiState>,
    PathId(id): PathId<RecordId>,
    parameters: QueryParameters,
    known: IfNoneMatch,
) -> Result<Response, ApiError> {
    parameters.finish()?;
    let task = for_store(state.tasks.fetch(&id)).await?;
    let task = task.ok_or(ApiError::TaskNotFound(id))?;
    let run_id = task.run_id();
    let lines = tail_of(for_store(state.tasks.tail(&run_id)).await?);
    let json = serde_json::to_vec(&LogTail { run_id, lines });
    let json = json.expect("records have string keys and no fallible serializer");
    let validator = Validator::of_bytes(&json);
    Ok(known.respond(Representation { validator, json }))
}
