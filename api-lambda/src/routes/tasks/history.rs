//! `/api/tasks/{task_id}/history`: the changes of a run's progress.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use shared::model::{HistoryEntry, RecordId, Timestamp};
use shared::store::TimeRange;
use shared::task_reader::{MAX_PAGE_LIMIT, Representation};
use shared::validator::Validator;

use crate::cursor::Cursor;
use crate::etag::IfNoneMatch;
#[cfg(test)]
use crate::openapi::{
    parameters::{IfNoneMatchHeader, Paging, Period, RunPath},
    schemas,
};
use crate::path_id::PathId;
use crate::problem::ApiError;
use crate::query::QueryParameters;
use crate::state::ApiState;

#[derive(Serialize)]
struct HistoryPage {
    history: Vec<HistoryEntry>,
    next_cursor: Option<String>,
}

/// Lists the changes of a run's progress, oldest first
#[cfg_attr(test, utoipa::path(
    get, path = "/api/tasks/{task_id}/history", operation_id = "listTaskHistory", tag = "tasks",
    params(RunPath, Period, Paging, IfNoneMatchHeader),
    responses((status = 200, description = "A page of the history", body = schemas::HistoryPage)),
    security(("token" = ["progress:read"])),
    extensions(("x-problems" = json!(["invalid-parameters", "task-not-found", "unavailable"])))
))]
pub(super) async fn list(
    State(state): State<ApiState>,
    PathId(id): PathId<RecordId>,
    mut parameters: QueryParameters,
    known: IfNoneMatch,
) -> Result<Response, ApiError> {
    let TimeRange { from, to: until } = parameters.time_range();
    let limit = parameters.limit(MAX_PAGE_LIMIT);
    let cursor_filter = cursor_filter_of(&id, from, until);
    let after_cursor = parameters.time_cursor(&cursor_filter);
    parameters.finish()?;

    // The store expects the time before the first entry. No entry is older than 1970.
    let before_from = from
        .and_then(|from| from.as_millis().checked_sub(1))
        .filter(|ms| *ms >= 0)
        .map(Timestamp::from_millis);
    let after = after_cursor.or(before_from);
    let history = state.reader.history(&id, after, until, limit + 1).await?;
    let mut history = history.ok_or(ApiError::TaskNotFound(id))?;
    let has_more = history.len() > limit;
    history.truncate(limit);
    let last = history.last().filter(|_| has_more);
    let next_cursor = last.map(|last| Cursor::At(last.timestamp).encode(&cursor_filter));
    let page = HistoryPage {
        history,
        next_cursor,
    };
    let json =
        serde_json::to_vec(&page).expect("history has string keys and no fallible serializer");
    Ok(known.respond(Representation {
        validator: Validator::of_bytes(&json),
        json,
    }))
}

/// Identifies a history and its filters, for cursors.
fn cursor_filter_of(id: &RecordId, from: Option<Timestamp>, until: Option<Timestamp>) -> String {
    let millis = |time: Option<Timestamp>| {
        time.map_or_else(String::new, |time| time.as_millis().to_string())
    };
    format!("history/{id}?from={}&to={}", millis(from), millis(until))
}
