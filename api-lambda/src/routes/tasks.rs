//! `/api/tasks`: tasks and their history.

mod new_task;
mod task_patch;

use std::slice;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;
use shared::fold::Ledger;
use shared::model::{HistoryEntry, MAX_NAME_CHARS, ProjectId, Task, TaskId, TaskStatus, Timestamp};
use shared::server_timing::for_store;
use shared::store::{IdempotencyRecord, ListPosition, StoreError, TaskQuery};
use shared::task_reader::{
    ConditionalRead, ListRequest, MAX_PAGE_LIMIT, Representation, Validator, canonical_query,
};

use self::new_task::NewTask;
use self::task_patch::TaskPatch;
use crate::api_gateway::BasePath;
use crate::auth::Principal;
use crate::cursor::Cursor;
use crate::etag::{IfMatch, IfNoneMatch, tagged};
use crate::idempotency::{IDEMPOTENCY_REPLAYED, IdempotencyKey};
use crate::json_body::JsonBody;
#[cfg(test)]
use crate::openapi::{
    parameters::{
        IdempotencyKeyHeader, IfMatchHeader, IfNoneMatchHeader, Paging, Period, ProjectFilter,
        TaskFilters, TaskPath,
    },
    schemas,
};
use crate::path_id::PathId;
use crate::problem::ApiError;
use crate::query::QueryParameters;
use crate::response::{JsonBytes, created};
use crate::retry_on_conflict::retry_on_conflict;
use crate::state::ApiState;

/// The OpenAPI description of these routes.
#[cfg(test)]
#[derive(utoipa::OpenApi)]
#[openapi(paths(list, create, show, change, delete, history))]
pub(super) struct Description;

pub(super) fn routes() -> Router<ApiState> {
    Router::new()
        .route("/api/tasks", get(list).post(create))
        .route(
            "/api/tasks/{task_id}",
            get(show).patch(change).delete(delete),
        )
        .route("/api/tasks/{task_id}/history", get(history))
}

/// Lists tasks, newest first
#[cfg_attr(test, utoipa::path(
    get, path = "/api/tasks", operation_id = "listTasks", tag = "tasks",
    params(TaskFilters, ProjectFilter, Paging, IfNoneMatchHeader),
    responses((status = 200, description = "A page of tasks", body = schemas::TaskPage)),
    security(("token" = ["progress:read"])),
    extensions(("x-problems" = json!(["invalid-parameters", "unavailable"])))
))]
async fn list(
    State(state): State<ApiState>,
    mut parameters: QueryParameters,
    known: IfNoneMatch,
) -> Result<Response, ApiError> {
    let project_id = parameters.one("project_id");
    let reading = page(&state, parameters, project_id, &known).await?;
    Ok(known.respond_to(reading))
}

/// Reads the page of tasks that the remaining parameters select: of one project, or of all.
pub(super) async fn page(
    state: &ApiState,
    mut parameters: QueryParameters,
    project_id: Option<ProjectId>,
    known: &IfNoneMatch,
) -> Result<ConditionalRead, ApiError> {
    let query = TaskQuery {
        statuses: parameters.many("status"),
        task_types: parameters.many("task_type"),
        project_id,
        name_prefix: parameters.text_of("q", MAX_NAME_CHARS),
        updated_after: parameters.timestamp("updated_after"),
    };
    let limit = parameters.limit(MAX_PAGE_LIMIT);
    let cursor_filter = canonical_query(&query);
    let mut after = None;
    if let Some(cursor) = parameters.cursor(&cursor_filter) {
        match cursor.task_id {
            Some(task_id) => {
                let updated_at = cursor.at;
                after = Some(ListPosition {
                    updated_at,
                    task_id,
                });
            }
            None => parameters.reject("cursor", "must be a next_cursor of this API"),
        }
    }
    parameters.finish()?;
    let request = ListRequest {
        query,
        after,
        limit,
    };
    let next_cursor = |last: &ListPosition| {
        let cursor = Cursor {
            at: last.updated_at,
            task_id: Some(last.task_id.clone()),
        };
        cursor.encode(&cursor_filter)
    };
    let reading = state
        .reader
        .list_tasks(&request, next_cursor, known.validators(), state.now())
        .await?;
    Ok(reading)
}

/// Shows a task
#[cfg_attr(test, utoipa::path(
    get, path = "/api/tasks/{task_id}", operation_id = "getTask", tag = "tasks",
    params(TaskPath, IfNoneMatchHeader),
    responses((status = 200, description = "The task", body = schemas::Task)),
    security(("token" = ["progress:read"])),
    extensions(("x-problems" = json!(["invalid-parameters", "task-not-found", "unavailable"])))
))]
async fn show(
    State(state): State<ApiState>,
    PathId(task_id): PathId<TaskId>,
    parameters: QueryParameters,
    known: IfNoneMatch,
) -> Result<Response, ApiError> {
    parameters.finish()?;
    let reading = state
        .reader
        .fetch_task(&task_id, known.validators(), state.now())
        .await?
        .ok_or(ApiError::TaskNotFound(task_id))?;
    Ok(known.respond_to(reading))
}

/// Creates a task
#[cfg_attr(test, utoipa::path(
    post, path = "/api/tasks", operation_id = "createTask", tag = "tasks",
    params(IdempotencyKeyHeader),
    request_body(content((NewTask = "application/json"))),
    responses((status = 201, description = "The new task", body = schemas::Task,
        headers(("Idempotency-Replayed" = String, description = "`true` if an earlier request with this key got the same answer")))),
    security(("token" = ["progress:write"])),
    extensions(("x-problems" = json!(["invalid-parameters", "malformed-body", "body-too-large", "unsupported-media-type", "invalid-fields", "task-exists", "idempotency-key-reused", "unavailable"])))
))]
async fn create(
    State(state): State<ApiState>,
    base: BasePath,
    parameters: QueryParameters,
    key: IdempotencyKey,
    caller: Principal,
    body: JsonBody,
) -> Result<Response, ApiError> {
    parameters.finish()?;
    let now = state.now();
    let mut task = body.read::<NewTask>()?.into_task(now);
    if task.status == TaskStatus::Running {
        task.usual_duration_ms = for_store(state.tasks.usual_duration_ms(&task)).await?;
    }
    let json = state.renderer.task(&task, now);
    let record = key
        .record_key(&caller.identity())
        .map(|key| IdempotencyRecord {
            key,
            digest: body.digest(),
            task_id: task.task_id.clone(),
            response: String::from_utf8_lossy(&json).into_owned(),
            made_at: now,
        });
    let outcome = match &record {
        Some(record) => for_store(state.tasks.create(&task, record)).await,
        None => for_store(state.tasks.save(None, &task, None))
            .await
            .map(|()| None),
    };
    match outcome {
        Ok(None) => {}
        Ok(Some(earlier)) if record.is_some_and(|record| record.digest != earlier.digest) => {
            return Err(ApiError::IdempotencyKeyReused);
        }
        Ok(Some(earlier)) => {
            state.write_through.task_made_before().await;
            let json = earlier.response.into_bytes();
            let mut response = created_task(&base, &earlier.task_id, json);
            let replayed = HeaderValue::from_static("true");
            response
                .headers_mut()
                .insert(IDEMPOTENCY_REPLAYED, replayed);
            return Ok(response);
        }
        Err(StoreError::Conflict(_)) => return Err(ApiError::TaskExists(task.task_id)),
        Err(error) => return Err(error.into()),
    }
    // If the cache fails, `tasks_saved` logs a warning. The task is created all the same.
    state.write_through.tasks_saved(&[&task], now).await;
    Ok(created_task(&base, &task.task_id, json))
}

/// The 201 response for a new task.
fn created_task(base: &BasePath, task_id: &TaskId, json: Vec<u8>) -> Response {
    let validator = Validator::of_record(&json);
    let path = format!("/api/tasks/{task_id}");
    tagged(created(base, &path, json), &validator)
}

/// Changes a task
#[cfg_attr(test, utoipa::path(
    patch, path = "/api/tasks/{task_id}", operation_id = "changeTask", tag = "tasks",
    params(TaskPath, IfMatchHeader),
    request_body(content((TaskPatch = "application/json"), (TaskPatch = "application/merge-patch+json"))),
    responses((status = 200, description = "The changed task", body = schemas::Task)),
    security(("token" = ["progress:write"])),
    extensions(("x-problems" = json!(["invalid-parameters", "malformed-body", "body-too-large", "unsupported-media-type", "invalid-fields", "task-not-found", "illegal-move", "precondition-failed", "unavailable"])))
))]
async fn change(
    State(state): State<ApiState>,
    PathId(task_id): PathId<TaskId>,
    parameters: QueryParameters,
    if_match: IfMatch,
    body: JsonBody,
) -> Result<Response, ApiError> {
    parameters.finish()?;
    retry_on_conflict(|| try_change(&state, &task_id, &if_match, &body)).await
}

/// Reads a task, applies a patch and writes the result.
async fn try_change(
    state: &ApiState,
    task_id: &TaskId,
    if_match: &IfMatch,
    body: &JsonBody,
) -> Result<Response, ApiError> {
    let (task, ledger) = fetch_for_change(state, task_id, if_match).await?;
    let now = state.now();
    let patch: TaskPatch = body.merged_into(&task)?;
    let (mut next, edit) = patch
        .apply(&task, now)
        .map_err(ApiError::InvalidTransition)?;
    if next != task {
        let starts = task.status != next.status && next.status == TaskStatus::Running;
        if starts && next.usual_duration_ms.is_none() {
            next.usual_duration_ms = for_store(state.tasks.usual_duration_ms(&next)).await?;
        }
        // A task without log lines needs no ledger.
        let mut ledger = Some(ledger).filter(|ledger| !ledger.is_empty());
        if let Some(ledger) = &mut ledger {
            ledger.edit(&task, &edit, now);
        }
        let save = state.tasks.save(Some(&task), &next, ledger.as_ref());
        for_store(save).await?;
    }
    // An unchanged task is written to the cache as well. This request may repeat one that wrote to
    // the store and then crashed.
    state.write_through.tasks_saved(&[&next], now).await;
    let json = state.renderer.task(&next, now);
    let validator = Validator::of_record(&json);
    Ok(tagged(JsonBytes(json).into_response(), &validator))
}

/// Deletes a task and its history
#[cfg_attr(test, utoipa::path(
    delete, path = "/api/tasks/{task_id}", operation_id = "deleteTask", tag = "tasks",
    params(TaskPath, IfMatchHeader),
    responses((status = 204, description = "The task is deleted")),
    security(("token" = ["progress:write"])),
    extensions(("x-problems" = json!(["invalid-parameters", "task-not-found", "precondition-failed", "unavailable"])))
))]
async fn delete(
    State(state): State<ApiState>,
    PathId(task_id): PathId<TaskId>,
    parameters: QueryParameters,
    if_match: IfMatch,
) -> Result<StatusCode, ApiError> {
    parameters.finish()?;
    retry_on_conflict(|| try_delete(&state, &task_id, &if_match)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Reads a task and deletes it.
async fn try_delete(
    state: &ApiState,
    task_id: &TaskId,
    if_match: &IfMatch,
) -> Result<(), ApiError> {
    let (task, mut ledger) = fetch_for_change(state, task_id, if_match).await?;
    ledger.delete(&task, state.now());
    let outcome = for_store(state.tasks.delete(&task, &ledger)).await;
    // After any other error the task may be deleted nevertheless. Then the cache must not serve it.
    if !matches!(outcome, Err(StoreError::Conflict(_))) {
        state.write_through.task_deleted(&task).await;
    }
    Ok(outcome?)
}

/// Reads a task and its ledger, and checks `If-Match`.
async fn fetch_for_change(
    state: &ApiState,
    task_id: &TaskId,
    if_match: &IfMatch,
) -> Result<(Task, Ledger), ApiError> {
    let not_found = || ApiError::TaskNotFound(task_id.clone());
    let fetch = state.tasks.fetch_records(slice::from_ref(task_id));
    let record = for_store(fetch).await?.pop().ok_or_else(not_found)?;
    let task = record.task.ok_or_else(not_found)?;
    if !if_match.admits(task.revision) {
        return Err(ApiError::TaskChanged(task_id.clone()));
    }
    Ok((task, record.ledger))
}

#[derive(Serialize)]
struct HistoryPage {
    history: Vec<HistoryEntry>,
    next_cursor: Option<String>,
}

/// Lists the changes of a task's progress, oldest first
#[cfg_attr(test, utoipa::path(
    get, path = "/api/tasks/{task_id}/history", operation_id = "listTaskHistory", tag = "tasks",
    params(TaskPath, Period, Paging, IfNoneMatchHeader),
    responses((status = 200, description = "A page of the history", body = schemas::HistoryPage)),
    security(("token" = ["progress:read"])),
    extensions(("x-problems" = json!(["invalid-parameters", "task-not-found", "unavailable"])))
))]
async fn history(
    State(state): State<ApiState>,
    PathId(task_id): PathId<TaskId>,
    mut parameters: QueryParameters,
    known: IfNoneMatch,
) -> Result<Response, ApiError> {
    let from = parameters.timestamp("from");
    let until = parameters.timestamp("to");
    if let (Some(from), Some(until)) = (from, until)
        && until < from
    {
        parameters.reject("to", "must not be before from");
    }
    let limit = parameters.limit(MAX_PAGE_LIMIT);
    let cursor_filter = history_filter(&task_id, from, until);
    let cursor = parameters.cursor(&cursor_filter);
    parameters.finish()?;

    // The store expects the time before the first entry. No entry is older than 1970.
    let before_from = from
        .and_then(|from| from.as_millis().checked_sub(1))
        .filter(|ms| *ms >= 0)
        .map(Timestamp::from_millis);
    let is_first_page = cursor.is_none();
    let after = cursor.map(|cursor| cursor.at).or(before_from);
    let reader = &state.reader;
    let mut history = reader.history(&task_id, after, until, limit + 1).await?;
    if history.is_empty() && is_first_page {
        let task = reader.fetch_task(&task_id, &[], state.now()).await?;
        task.ok_or(ApiError::TaskNotFound(task_id))?;
    }
    let has_more = history.len() > limit;
    history.truncate(limit);
    let next_cursor = history.last().filter(|_| has_more).map(|last| {
        let cursor = Cursor {
            at: last.timestamp,
            task_id: None,
        };
        cursor.encode(&cursor_filter)
    });
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
fn history_filter(task_id: &TaskId, from: Option<Timestamp>, until: Option<Timestamp>) -> String {
    let millis = |time: Option<Timestamp>| {
        time.map_or_else(String::new, |time| time.as_millis().to_string())
    };
    format!(
        "history/{task_id}?from={}&to={}",
        millis(from),
        millis(until)
    )
}
