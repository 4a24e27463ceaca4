//! `/api/tasks/{task_id}/log`: the last lines of a run.

use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use shared::error::error_chain;
use shared::log_source::{LogSourceError, TailRequest};
use shared::log_tail::{TailLine, tail_of};
use shared::model::{RecordId, RunId, Task};
use shared::secrets::hide_secrets;
use shared::server_timing::for_store;
use shared::task_reader::Representation;
use shared::validator::Validator;
use tracing::error;

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

/// How long after the last known line of a run there may be further ones.
const AFTERWORD: Duration = Duration::from_secs(60);

/// The last lines of a run.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = LogTail))]
pub(crate) struct LogTail {
    /// The run.
    #[cfg_attr(test, schema(value_type = schemas::RunId))]
    run_id: RunId,
    /// The lines, oldest first: at most 200. Empty if there is none, or none any more.
    #[cfg_attr(test, schema(value_type = Vec<schemas::LogLine>, max_items = 200))]
    lines: Vec<TailLine>,
    /// Why lines can't be shown although there may be some.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schema(nullable = false))]
    note: Option<String>,
}

/// Shows the last lines of a run
///
/// Lines that were sent to `POST /api/logs` are kept for 24 hours, and for 7 days if the run failed.
/// Those of a log stream are read from CloudWatch Logs. What looks like a password, a key or a token is
/// shown as `[redacted]`.
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
    let kept = tail_of(for_store(state.tasks.tail(&run_id)).await?);
    let (mut lines, note) = match kept.is_empty() {
        true => read_at_source(&state, &task).await?,
        false => (kept, None),
    };
    hide_secrets(lines.iter_mut().map(|line| &mut line.text));
    let tail = LogTail {
        run_id,
        lines,
        note,
    };
    let json = serde_json::to_vec(&tail);
    let json = json.expect("records have string keys and no fallible serializer");
    let validator = Validator::of_bytes(&json);
    Ok(known.respond(Representation { validator, json }))
}

/// The last lines of a run in its log stream, or a note why they can't be read.
async fn read_at_source(
    state: &ApiState,
    task: &Task,
) -> Result<(Vec<TailLine>, Option<String>), ApiError> {
    let (Some(source), Some(log_group), Some(log_stream)) =
        (&state.log_tails, &task.log_group, &task.log_stream)
    else {
        return Ok((Vec::new(), None));
    };
    let last = task.completed_at.max(Some(task.updated_at));
    let end = match last {
        Some(last) if task.is_earlier => last,
        Some(last) if task.status.is_terminal() => last.after(AFTERWORD),
        _ => state.now(),
    };
    let request = TailRequest {
        log_group,
        log_stream,
        start: task.run,
        end,
    };
    match source.fetch_tail(request).await {
        Ok(lines) => Ok((lines, None)),
        Err(LogSourceError::GroupNotFound(_)) => Ok((Vec::new(), None)),
        Err(failure @ LogSourceError::Refused { .. }) => {
            error!(error = error_chain(&failure), "can't read a log stream");
            let note = format!("this API may not read the log group {log_group}");
            Ok((Vec::new(), Some(note)))
        }
        Err(failure) => Err(ApiError::LogsUnavailable(failure)),
    }
}
