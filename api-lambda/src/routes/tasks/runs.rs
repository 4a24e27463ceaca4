//! `/api/tasks/{task_id}/runs`: all runs of a task.

use axum::extract::State;
use axum::response::Response;
use shared::model::{RunId, Task, TaskId};
use shared::task_reader::{MAX_PAGE_LIMIT, Representation};
use shared::validator::Validator;

use crate::cursor::Cursor;
use crate::etag::IfNoneMatch;
#[cfg(test)]
use crate::openapi::{
    parameters::{IfNoneMatchHeader, Paging, TaskPath},
    schemas,
};
use crate::path_id::PathId;
use crate::problem::ApiError;
use crate::query::QueryParameters;
use crate::state::ApiState;

/// Lists the runs of a task, newest first
///
/// Earlier runs stay after the newest one was deleted.
#[cfg_attr(test, utoipa::path(
    get, path = "/api/tasks/{task_id}/runs", operation_id = "listTaskRuns", tag = "tasks",
    params(TaskPath, Paging, IfNoneMatchHeader),
    responses((status = 200, description = "A page of the runs", body = schemas::RunPage)),
    security(("token" = ["progress:read"])),
    extensions(("x-problems" = json!(["invalid-parameters", "task-not-found", "unavailable"])))
))]
pub(super) async fn list(
    State(state): State<ApiState>,
    PathId(task_id): PathId<TaskId>,
    mut parameters: QueryParameters,
    known: IfNoneMatch,
) -> Result<Response, ApiError> {
    let limit = parameters.limit(MAX_PAGE_LIMIT);
    let cursor_filter = format!("runs/{task_id}");
    let before = parameters.time_cursor(&cursor_filter);
    parameters.finish()?;

    let is_first_page = before.is_none();
    let mut runs = state.reader.runs(&task_id, before, limit + 1).await?;
    if runs.is_empty() && is_first_page {
        return Err(ApiError::TaskNotFound(task_id.into()));
    }
    let has_more = runs.len() > limit;
    runs.truncate(limit);
    let next = runs.last().filter(|_| has_more).map(Task::run_id);
    let cursor = |last: &RunId| Cursor::At(last.run).encode(&cursor_filter);
    let json = state
        .renderer
        .runs(&runs, next.as_ref(), cursor, state.now());
    Ok(known.respond(Representation {
        validator: Validator::of_bytes(&json),
        json,
    }))
}
