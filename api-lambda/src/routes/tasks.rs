//! `/api/tasks`: tasks, their runs and their history.

mod history;
mod log;
mod new_task;
mod runs;
mod task_patch;

use std::slice;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use axum::routing::get;
use shared::model::{MAX_NAME_CHARS, ProjectId, RecordId, RunId, Task, TaskId, TaskStatus};
use shared::record::{TaskChange, TaskRecord, delete_earlier};
use shared::server_timing::for_store;
use shared::store::{IdempotencyRecord, StoreError, TaskQuery, TimeRange};
use shared::task_reader::{
    ConditionalRead, ListRequest, MAX_PAGE_LIMIT, Representation, canonical_query,
};
use shared::validator::Validator;
use tokio::time::Instant;

use self::new_task::{NewRun, NewTask};
use self::task_patch::TaskPatch;
use crate::auth::Principal;
use crate::cursor::Cursor;
use crate::etag::{IfMatch, IfNoneMatch};
use crate::idempotency::{IDEMPOTENCY_REPLAYED, IdempotencyKey};
use crate::json_body::JsonBody;
#[cfg(test)]
use crate::openapi::{
    parameters::{
        IdempotencyKeyHeader, IfMatchHeader, IfNoneMatchHeader, Paging, ProjectFilter, RunPath,
        TaskFilters,
    },
    schemas,
};
use crate::path_id::PathId;
use crate::problem::ApiError;
use crate::query::QueryParameters;
use crate::retry_on_conflict::retry_on_conflict;
use crate::state::ApiState;
use crate::write_response::WriteResponse;

/// The OpenAPI description of these routes.
#[cfg(test)]
#[derive(utoipa::OpenApi)]
#[openapi(paths(
    list,
    create,
    show,
    change,
    delete,
    history::list,
    log::show,
    runs::list
))]
pub(super) struct Description;

pub(super) fn routes() -> Router<ApiState> {
    Router::new()
        .route("/api/tasks", get(list).post(create))
        .route(
            "/api/tasks/{task_id}",
            get(show).patch(change).delete(delete),
        )
        .route("/api/tasks/{task_id}/history", get(history::list))
        .route("/api/tasks/{task_id}/log", get(log::show))
        .route("/api/tasks/{task_id}/runs", get(runs::list))
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
        text: parameters.text_of("q", MAX_NAME_CHARS),
        begun: parameters.time_range(),
        updated: TimeRange::default(),
    };
    let limit = parameters.limit(MAX_PAGE_LIMIT);
    let cursor_filter = canonical_query(&query);
    let after = parameters.run_cursor(&cursor_filter);
    parameters.finish()?;
    let request = ListRequest {
        query,
        after,
        limit,
    };
    let next_cursor = |last: &RunId| Cursor::Run(last.clone()).encode(&cursor_filter);
    let reading = state
        .reader
        .list_tasks(&request, next_cursor, known.validators(), state.now())
        .await?;
    Ok(reading)
}

/// Shows the newest run of a task, or an earlier one
#[cfg_attr(test, utoipa::path(
    get, path = "/api/tasks/{task_id}", operation_id = "getTask", tag = "tasks",
    params(RunPath, IfNoneMatchHeader),
    responses((status = 200, description = "The run", body = schemas::Task)),
    security(("token" = ["progress:read"])),
    extensions(("x-problems" = json!(["invalid-parameters", "task-not-found", "unavailable"])))
))]
async fn show(
    State(state): State<ApiState>,
    PathId(id): PathId<RecordId>,
    parameters: QueryParameters,
    known: IfNoneMatch,
) -> Result<Response, ApiError> {
    parameters.finish()?;
    let reading = state
        .reader
        .fetch_task(&id, known.validators(), state.now())
        .await?
        .ok_or(ApiError::TaskNotFound(id))?;
    Ok(known.respond_to(reading))
}

/// Creates a task, or the next run of a task whose newest run has ended
#[cfg_attr(test, utoipa::path(
    post, path = "/api/tasks", operation_id = "createTask", tag = "tasks",
    params(IdempotencyKeyHeader),
    request_body(content((NewTask = "application/json"))),
    responses((status = 201, description = "The new run", body = schemas::Task,
        headers(("Idempotency-Replayed" = String, description = "`true` if an earlier request with this key got the same answer"))),
        (status = 204, description = "The run is created; the token has no `progress:read`",
        headers(("Idempotency-Replayed" = String, description = "`true` if an earlier request with this key got the same answer")))),
    security(("token" = ["progress:write"])),
    extensions(("x-problems" = json!(["invalid-parameters", "malformed-body", "body-too-large", "unsupported-media-type", "invalid-fields", "task-exists", "idempotency-key-reused", "unavailable"])))
))]
async fn create(
    State(state): State<ApiState>,
    write_response: WriteResponse,
    parameters: QueryParameters,
    key: IdempotencyKey,
    caller: Principal,
    body: JsonBody,
) -> Result<Response, ApiError> {
    parameters.finish()?;
    let new = body.read::<NewTask>()?.into_run();
    let key = key.record_key(&caller.identity());
    // Most ids are new. The first attempt therefore assumes that nothing is stored, and reads
    // nothing. A repeated request finds its record in this way, whatever its run has become.
    let mut assumed = Some(TaskRecord::new(new.task_id.clone()));
    retry_on_conflict(&state.turns, &new.task_id, || {
        let assumed = assumed.take();
        try_create(&state, &new, key.clone(), body.digest(), assumed)
    })
    .await
    .map(|created| {
        let path = format!("/api/tasks/{}", created.task_id);
        let validator = Validator::of_record(&created.json);
        let json = created.json;
        let mut response = write_response.created(&path, Representation { validator, json });
        if created.is_replayed {
            let replayed = HeaderValue::from_static("true");
            response
                .headers_mut()
                .insert(IDEMPOTENCY_REPLAYED, replayed);
        }
        response
    })
}

/// A run that a request has created.
struct Created {
    task_id: TaskId,
    json: Vec<u8>,
    /// Whether an earlier request with the same key has created it.
    is_replayed: bool,
}

/// Creates a run on top of `assumed`, or of what is stored.
async fn try_create(
    state: &ApiState,
    new: &NewRun,
    key: Option<String>,
    digest: String,
    assumed: Option<TaskRecord>,
) -> Result<Created, ApiError> {
    let record = match assumed {
        Some(record) => record,
        None => {
            let stored = fetch_record(state, &new.task_id).await?;
            stored.unwrap_or_else(|| TaskRecord::new(new.task_id.clone()))
        }
    };
    let is_open = |newest: &Task| !newest.status.is_terminal();
    if record.live().is_some_and(is_open) {
        return Err(ApiError::TaskExists(new.task_id.clone()));
    }
    let now = state.now();
    let mut change = record.create(new.task_type, new.edit.clone(), &new.fields, now);
    complete(state, &mut change).await?;
    let begun = Instant::now();
    let json = state.renderer.task(newest(&change), now);
    let created = |task_id: &TaskId, json, is_replayed| Created {
        task_id: task_id.clone(),
        json,
        is_replayed,
    };
    let Some(key) = key else {
        for_store(state.tasks.save(&change)).await?;
        state.write_through.saved(&[&change], begun, now).await;
        return Ok(created(&new.task_id, json, false));
    };
    let record = IdempotencyRecord {
        key,
        digest,
        task_id: new.task_id.clone(),
        response: String::from_utf8_lossy(&json).into_owned(),
        made_at: now,
    };
    match for_store(state.tasks.create(&change, &record)).await? {
        None => {
            // If the cache fails, `saved` logs a warning. The run is created all the same.
            state.write_through.saved(&[&change], begun, now).await;
            Ok(created(&new.task_id, json, false))
        }
        Some(earlier) if earlier.digest != record.digest => Err(ApiError::IdempotencyKeyReused),
        Some(earlier) => Ok(created(
            &earlier.task_id,
            earlier.response.into_bytes(),
            true,
        )),
    }
}

/// The newest run after a change by a caller who creates or edits it.
fn newest(change: &TaskChange) -> &Task {
    let newest = change.newest();
    newest.expect("a run that a caller created or edited exists")
}

/// Adds the usual duration of a run that starts, which only the store knows.
async fn complete(state: &ApiState, change: &mut TaskChange) -> Result<(), ApiError> {
    let Some(newest) = change.heads.first_mut() else {
        return Ok(());
    };
    let is_running = |task: &Task| task.status == TaskStatus::Running;
    let ran_before = newest.before.as_ref().is_some_and(is_running);
    let next = &mut newest.next.task;
    if is_running(next) && !ran_before && next.usual_duration_ms.is_none() {
        next.usual_duration_ms = for_store(state.tasks.usual_duration_ms(next)).await?;
    }
    Ok(())
}

/// Changes the newest run of a task
#[cfg_attr(test, utoipa::path(
    patch, path = "/api/tasks/{task_id}", operation_id = "changeTask", tag = "tasks",
    params(RunPath, IfMatchHeader),
    request_body(content((TaskPatch = "application/json"), (TaskPatch = "application/merge-patch+json"))),
    responses((status = 200, description = "The changed run", body = schemas::Task),
        (status = 204, description = "The run is changed; the token has no `progress:read`")),
    security(("token" = ["progress:write"])),
    extensions(("x-problems" = json!(["invalid-parameters", "malformed-body", "body-too-large", "unsupported-media-type", "invalid-fields", "task-not-found", "earlier-run", "illegal-move", "precondition-failed", "unavailable"])))
))]
async fn change(
    State(state): State<ApiState>,
    PathId(id): PathId<RecordId>,
    write_response: WriteResponse,
    parameters: QueryParameters,
    if_match: IfMatch,
    body: JsonBody,
) -> Result<Response, ApiError> {
    parameters.finish()?;
    let changed = retry_on_conflict(&state.turns, id.task_id(), || {
        try_change(&state, &id, &if_match, &body)
    })
    .await;
    let changed = changed.map_err(|error| match error {
        // It tells the present status.
        ApiError::InvalidTransition(_) if !write_response.may_read => {
            ApiError::InvalidTransition(None)
        }
        error => error,
    })?;
    Ok(write_response.changed(&format!("/api/tasks/{id}"), changed))
}

/// Reads a task, applies a patch and writes the result.
async fn try_change(
    state: &ApiState,
    id: &RecordId,
    if_match: &IfMatch,
    body: &JsonBody,
) -> Result<Representation, ApiError> {
    let (record, task) = match fetch_for_change(state, id).await? {
        Stored::Newest(record, task) => (record, task),
        Stored::Earlier(run) => return Err(ApiError::EarlierRun { id: run.run_id() }),
    };
    check_if_match(state, id, if_match, &task)?;
    let now = state.now();
    let patch: TaskPatch = body.merged_into(&task)?;
    let patched = patch.applied_to(&task);
    let invalid = |transition| ApiError::InvalidTransition(Some(transition));
    let task = match patched.map_err(invalid)? {
        Some((edit, fields)) => {
            let mut change = record.edit(edit, &fields, now);
            complete(state, &mut change).await?;
            let begun = Instant::now();
            for_store(state.tasks.save(&change)).await?;
            state.write_through.saved(&[&change], begun, now).await;
            newest(&change).clone()
        }
        None => task,
    };
    let json = state.renderer.task(&task, now);
    let validator = Validator::of_record(&json);
    Ok(Representation { validator, json })
}

/// Deletes a run and its history
///
/// The id of a task deletes its newest run. Earlier runs stay, and have ids of their own.
#[cfg_attr(test, utoipa::path(
    delete, path = "/api/tasks/{task_id}", operation_id = "deleteTask", tag = "tasks",
    params(RunPath, IfMatchHeader),
    responses((status = 204, description = "The run is deleted")),
    security(("token" = ["progress:write"])),
    extensions(("x-problems" = json!(["invalid-parameters", "task-not-found", "precondition-failed", "unavailable"])))
))]
async fn delete(
    State(state): State<ApiState>,
    PathId(id): PathId<RecordId>,
    parameters: QueryParameters,
    if_match: IfMatch,
) -> Result<StatusCode, ApiError> {
    parameters.finish()?;
    retry_on_conflict(&state.turns, id.task_id(), || {
        try_delete(&state, &id, &if_match)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Reads a run and deletes it.
async fn try_delete(state: &ApiState, id: &RecordId, if_match: &IfMatch) -> Result<(), ApiError> {
    let now = state.now();
    let change = match fetch_for_change(state, id).await? {
        Stored::Newest(record, task) => {
            check_if_match(state, id, if_match, &task)?;
            let change = record.delete(now);
            change.ok_or_else(|| ApiError::TaskNotFound(id.clone()))?
        }
        Stored::Earlier(run) => {
            check_if_match(state, id, if_match, &run)?;
            delete_earlier(&run)
        }
    };
    let begun = Instant::now();
    let outcome = for_store(state.tasks.save(&change)).await;
    // After any other error the run may be deleted nevertheless. Then the cache must not serve it.
    if !matches!(outcome, Err(StoreError::Conflict(_))) {
        state.write_through.saved(&[&change], begun, now).await;
    }
    Ok(outcome?)
}

/// A run that a caller wants to change.
enum Stored {
    /// The newest run, and the record that it is part of.
    Newest(Box<TaskRecord>, Task),
    /// An earlier run.
    Earlier(Task),
}

/// Reads the run that `id` names, for a change of it.
async fn fetch_for_change(state: &ApiState, id: &RecordId) -> Result<Stored, ApiError> {
    let not_found = || ApiError::TaskNotFound(id.clone());
    if let RecordId::Run(_) = id {
        let run = for_store(state.tasks.fetch(id)).await?;
        let run = run.ok_or_else(not_found)?;
        if run.is_earlier {
            return Ok(Stored::Earlier(run));
        }
    }
    let record = fetch_record(state, id.task_id()).await?;
    let record = record.ok_or_else(not_found)?;
    let task = record.live().ok_or_else(not_found)?.clone();
    match id {
        // Meanwhile a later run has begun.
        RecordId::Run(run_id) if run_id.run != task.run => {
            Err(StoreError::Conflict(format!("task {}", task.task_id)).into())
        }
        _ => Ok(Stored::Newest(Box::new(record), task)),
    }
}

async fn fetch_record(state: &ApiState, task_id: &TaskId) -> Result<Option<TaskRecord>, ApiError> {
    let fetch = state.tasks.fetch_records(slice::from_ref(task_id));
    Ok(for_store(fetch).await?.pop())
}

/// Checks that the client has the present state of `task`, in one of its views.
fn check_if_match(
    state: &ApiState,
    id: &RecordId,
    if_match: &IfMatch,
    task: &Task,
) -> Result<(), ApiError> {
    let views = state.renderer.all_of_task(task);
    let present = views.map(|json| Validator::of_revision(task.revision, &json));
    match if_match.admits(present) {
        true => Ok(()),
        false => Err(ApiError::TaskChanged(id.clone())),
    }
}
