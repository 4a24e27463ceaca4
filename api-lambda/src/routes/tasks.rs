//! `/api/tasks`: lists, single tasks and their history; new tasks, changes and deletions.

mod change;
mod new_task;

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

use self::change::Change;
use crate::answer::{Json, created};
use crate::auth::Principal;
use crate::cursor::Cursor;
use crate::etag::{IfMatch, IfNoneMatch, tagged};
use crate::fields::Fields;
use crate::front_door::BasePath;
use crate::idempotency::{IDEMPOTENCY_REPLAYED, IdempotencyKey};
#[cfg(test)]
use crate::openapi::{
    self, Expected, Known, NewTask, OfProject, Paging, Period, Repeatable, TaskFilters, TaskPage,
    TaskPatch, TaskPath,
};
use crate::parameters::{Parameters, PathId};
use crate::problem::ApiError;
use crate::state::{ApiState, CONFLICT_ATTEMPTS};

/// The routes, described.
#[cfg(test)]
#[derive(utoipa::OpenApi)]
#[openapi(paths(list, create, show, change, delete, history))]
pub(crate) struct Described;

pub(crate) fn routes() -> Router<ApiState> {
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
    params(TaskFilters, OfProject, Paging, Known),
    responses((status = 200, description = "A page of tasks", body = TaskPage)),
    security(("token" = ["progress:read"])),
    extensions(("x-problems" = json!(["invalid-parameters", "unavailable"])))
))]
async fn list(
    State(state): State<ApiState>,
    mut parameters: Parameters,
    known: IfNoneMatch,
) -> Result<Response, ApiError> {
    let project_id = parameters.one("project_id");
    let reading = page(&state, parameters, project_id, &known).await?;
    Ok(known.respond_to(reading))
}

/// Reads the page of tasks, those of a project or all, that the remaining parameters ask for.
pub(super) async fn page(
    state: &ApiState,
    mut parameters: Parameters,
    project_id: Option<ProjectId>,
    known: &IfNoneMatch,
) -> Result<ConditionalRead, ApiError> {
    let query = TaskQuery {
        statuses: parameters.many("status"),
        task_types: parameters.many("task_type"),
        project_id,
        name_prefix: parameters.text_of("q", MAX_NAME_CHARS),
        updated_after: parameters.moment("updated_after"),
    };
    let limit = parameters.limit(MAX_PAGE_LIMIT);
    let scope = canonical_query(&query);
    let mut after = None;
    if let Some(cursor) = parameters.cursor(&scope) {
        match cursor.task_id {
            Some(task_id) => {
                let updated_at = cursor.at;
                after = Some(ListPosition {
                    updated_at,
                    task_id,
                });
            }
            None => parameters.reject("cursor", "must be a cursor that this API has given"),
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
        cursor.encode(&scope)
    };
    let (known, now) = (known.validators(), state.now());
    let reading = state.reader.list_tasks(&request, next_cursor, known, now);
    Ok(reading.await?)
}

/// Shows a task
#[cfg_attr(test, utoipa::path(
    get, path = "/api/tasks/{task_id}", operation_id = "getTask", tag = "tasks",
    params(TaskPath, Known),
    responses((status = 200, description = "The task", body = openapi::Task)),
    security(("token" = ["progress:read"])),
    extensions(("x-problems" = json!(["invalid-parameters", "task-not-found", "unavailable"])))
))]
async fn show(
    State(state): State<ApiState>,
    PathId(task_id): PathId<TaskId>,
    parameters: Parameters,
    known: IfNoneMatch,
) -> Result<Response, ApiError> {
    parameters.finish()?;
    let reader = &state.reader;
    let task = reader.fetch_task(&task_id, known.validators(), state.now());
    let task = task.await?.ok_or(ApiError::TaskNotFound(task_id))?;
    Ok(known.respond_to(task))
}

/// Makes a task
#[cfg_attr(test, utoipa::path(
    post, path = "/api/tasks", operation_id = "createTask", tag = "tasks",
    params(Repeatable),
    request_body(content((NewTask = "application/json"))),
    responses((status = 201, description = "The task that was made", body = openapi::Task,
        headers(("Idempotency-Replayed" = String, description = "`true` where the answer was given before")))),
    security(("token" = ["progress:write"])),
    extensions(("x-problems" = json!(["invalid-parameters", "malformed-body", "body-too-large", "unsupported-media-type", "invalid-fields", "task-exists", "idempotency-key-reused", "unavailable"])))
))]
async fn create(
    State(state): State<ApiState>,
    base: BasePath,
    parameters: Parameters,
    key: IdempotencyKey,
    sender: Principal,
    fields: Fields,
) -> Result<Response, ApiError> {
    parameters.finish()?;
    let now = state.now();
    let digest = fields.digest();
    let mut task = new_task::parse(fields, now)?;
    if task.status == TaskStatus::Running {
        task.usual_duration_ms = for_store(state.tasks.usual_duration_ms(&task)).await?;
    }
    let json = state.renderer.task(&task, now);
    let receipt = key
        .receipt_key(&sender.identity())
        .map(|key| IdempotencyRecord {
            key,
            digest,
            task_id: task.task_id.clone(),
            response: String::from_utf8_lossy(&json).into_owned(),
            made_at: now,
        });
    let held = match &receipt {
        Some(receipt) => for_store(state.tasks.create(&task, receipt)).await,
        None => for_store(state.tasks.save(None, &task, None))
            .await
            .map(|()| None),
    };
    match held {
        Ok(None) => {}
        Ok(Some(held)) if receipt.is_some_and(|receipt| receipt.digest != held.digest) => {
            return Err(ApiError::IdempotencyKeyReused);
        }
        Ok(Some(held)) => {
            state.write_through.task_made_before().await;
            let mut response = made(&base, &held.task_id, held.response.into_bytes());
            let replayed = HeaderValue::from_static("true");
            response
                .headers_mut()
                .insert(IDEMPOTENCY_REPLAYED, replayed);
            return Ok(response);
        }
        Err(StoreError::Conflict(_)) => return Err(ApiError::TaskExists(task.task_id)),
        Err(error) => return Err(error.into()),
    }
    // What the cache failed to take is warned of there; the task is made all the same.
    state.write_through.tasks_saved(&[&task], now).await;
    Ok(made(&base, &task.task_id, json))
}

/// The answer to a request that has made a task.
fn made(base: &BasePath, task_id: &TaskId, json: Vec<u8>) -> Response {
    let validator = Validator::of_record(&json);
    let path = format!("/api/tasks/{task_id}");
    tagged(created(base, &path, json), &validator)
}

/// Changes a task
#[cfg_attr(test, utoipa::path(
    patch, path = "/api/tasks/{task_id}", operation_id = "changeTask", tag = "tasks",
    params(TaskPath, Expected),
    request_body(content((TaskPatch = "application/json"), (TaskPatch = "application/merge-patch+json"))),
    responses((status = 200, description = "The task as it is now", body = openapi::Task)),
    security(("token" = ["progress:write"])),
    extensions(("x-problems" = json!(["invalid-parameters", "malformed-body", "body-too-large", "unsupported-media-type", "invalid-fields", "task-not-found", "illegal-move", "precondition-failed", "unavailable"])))
))]
async fn change(
    State(state): State<ApiState>,
    PathId(task_id): PathId<TaskId>,
    parameters: Parameters,
    if_match: IfMatch,
    patch: Fields,
) -> Result<Response, ApiError> {
    parameters.finish()?;
    let mut conflict = None;
    for _ in 0..CONFLICT_ATTEMPTS {
        let (task, ledger) = present(&state, &task_id, &if_match).await?;
        let now = state.now();
        let change = Change::parse(patch.clone(), &task)?;
        let mut next = change
            .apply(&task, now)
            .map_err(ApiError::InvalidTransition)?;
        if next != task {
            let begins = task.status != next.status && next.status == TaskStatus::Running;
            if begins && next.usual_duration_ms.is_none() {
                next.usual_duration_ms = for_store(state.tasks.usual_duration_ms(&next)).await?;
            }
            // Of a task that no log has reported nothing need be kept for them.
            let mut ledger = Some(ledger).filter(|ledger| !ledger.is_empty());
            if let Some(ledger) = &mut ledger {
                ledger.edit(&task, &change.edit, now);
            }
            let save = state.tasks.save(Some(&task), &next, ledger.as_ref());
            match for_store(save).await {
                Ok(()) => {}
                Err(error @ StoreError::Conflict(_)) => {
                    conflict = Some(error);
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
        }
        // Also of a task that is as it should be: the request before, whose repetition this may be, may have ended
        // between the store and the cache.
        state.write_through.tasks_saved(&[&next], now).await;
        let json = state.renderer.task(&next, now);
        let validator = Validator::of_record(&json);
        return Ok(tagged(Json(json).into_response(), &validator));
    }
    Err(gave_up(conflict, &task_id))
}

/// Deletes a task and its history
#[cfg_attr(test, utoipa::path(
    delete, path = "/api/tasks/{task_id}", operation_id = "deleteTask", tag = "tasks",
    params(TaskPath, Expected),
    responses((status = 204, description = "It is deleted")),
    security(("token" = ["progress:write"])),
    extensions(("x-problems" = json!(["invalid-parameters", "task-not-found", "precondition-failed", "unavailable"])))
))]
async fn delete(
    State(state): State<ApiState>,
    PathId(task_id): PathId<TaskId>,
    parameters: Parameters,
    if_match: IfMatch,
) -> Result<StatusCode, ApiError> {
    parameters.finish()?;
    let mut conflict = None;
    for _ in 0..CONFLICT_ATTEMPTS {
        let (task, mut ledger) = present(&state, &task_id, &if_match).await?;
        ledger.delete(&task, state.now());
        match for_store(state.tasks.delete(&task, &ledger)).await {
            Ok(()) => {
                state.write_through.task_deleted(&task).await;
                return Ok(StatusCode::NO_CONTENT);
            }
            Err(error @ StoreError::Conflict(_)) => conflict = Some(error),
            Err(error) => {
                // It may be deleted all the same: then it must not be served any more.
                state.write_through.task_deleted(&task).await;
                return Err(error.into());
            }
        }
    }
    Err(gave_up(conflict, &task_id))
}

/// A task as it is stored, with what its logs have said; in the state that the client knows.
async fn present(
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

/// The error of a write that others were faster than, each time.
fn gave_up(conflict: Option<StoreError>, task_id: &TaskId) -> ApiError {
    let conflict = conflict.unwrap_or_else(|| StoreError::Conflict(format!("task {task_id}")));
    ApiError::Unavailable(conflict)
}

#[derive(Serialize)]
struct HistoryPage {
    history: Vec<HistoryEntry>,
    next_cursor: Option<String>,
}

/// Lists how a task's progress has changed, oldest first
#[cfg_attr(test, utoipa::path(
    get, path = "/api/tasks/{task_id}/history", operation_id = "listTaskHistory", tag = "tasks",
    params(TaskPath, Period, Paging, Known),
    responses((status = 200, description = "A page of its history", body = openapi::HistoryPage)),
    security(("token" = ["progress:read"])),
    extensions(("x-problems" = json!(["invalid-parameters", "task-not-found", "unavailable"])))
))]
async fn history(
    State(state): State<ApiState>,
    PathId(task_id): PathId<TaskId>,
    mut parameters: Parameters,
    known: IfNoneMatch,
) -> Result<Response, ApiError> {
    let from = parameters.moment("from");
    let until = parameters.moment("to");
    if let (Some(from), Some(until)) = (from, until)
        && until < from
    {
        parameters.reject("to", "must not be before from");
    }
    let limit = parameters.limit(MAX_PAGE_LIMIT);
    let scope = history_scope(&task_id, from, until);
    let cursor = parameters.cursor(&scope);
    parameters.finish()?;

    // The store wants the moment before the first entry. There is none before 1970.
    let before_from = from.and_then(|from| from.as_millis().checked_sub(1));
    let before_from = before_from
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
        cursor.encode(&scope)
    });
    let page = HistoryPage {
        history,
        next_cursor,
    };
    let json = serde_json::to_vec(&page);
    let json = json.expect("history has string keys and no fallible serializer");
    Ok(known.respond(Representation {
        validator: Validator::of_bytes(&json),
        json,
    }))
}

fn history_scope(task_id: &TaskId, from: Option<Timestamp>, until: Option<Timestamp>) -> String {
    let shown = |moment: Option<Timestamp>| {
        moment.map_or_else(String::new, |moment| moment.as_millis().to_string())
    };
    format!("history/{task_id}?from={}&to={}", shown(from), shown(until))
}
