//! `/api/tasks`: lists, single tasks and their history; and new tasks.

mod new_task;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use serde::Serialize;
use shared::model::{HistoryEntry, MAX_NAME_CHARS, ProjectId, TaskId, Timestamp};
use shared::stopwatch::for_store;
use shared::store::{ListPosition, StoreError, TaskQuery};
use shared::task_reader::{
    Answer, ListRequest, MAX_PAGE_LIMIT, Reading, SavedTask, Validator, canonical_query,
};

use crate::answer::created;
use crate::cursor::Cursor;
use crate::etag::{IfNoneMatch, tagged};
use crate::fields::Fields;
use crate::front_door::BasePath;
use crate::parameters::{Parameters, PathId};
use crate::problem::ApiError;
use crate::state::ApiState;

pub(crate) fn routes() -> Router<ApiState> {
    Router::new()
        .route("/api/tasks", get(list).post(create))
        .route("/api/tasks/{task_id}", get(show))
        .route("/api/tasks/{task_id}/history", get(history))
}

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
) -> Result<Reading, ApiError> {
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
    let (known, now) = (known.validators(), Timestamp::now());
    let reading = state.reader.list_tasks(&request, next_cursor, known, now);
    Ok(reading.await?)
}

async fn show(
    State(state): State<ApiState>,
    PathId(task_id): PathId<TaskId>,
    parameters: Parameters,
    known: IfNoneMatch,
) -> Result<Response, ApiError> {
    parameters.finish()?;
    let task = state.reader.fetch_task(&task_id, Timestamp::now()).await?;
    let task = task.ok_or(ApiError::TaskNotFound(task_id))?;
    Ok(known.respond(task))
}

async fn create(
    State(state): State<ApiState>,
    base: BasePath,
    parameters: Parameters,
    fields: Fields,
) -> Result<Response, ApiError> {
    parameters.finish()?;
    let now = Timestamp::now();
    let task = new_task::parse(fields, now)?;
    match for_store(state.tasks.save(None, &task, None)).await {
        Ok(()) => {}
        Err(StoreError::Conflict(_)) => return Err(ApiError::TaskExists(task.task_id)),
        Err(error) => return Err(error.into()),
    }
    let saved = SavedTask {
        previous: None,
        next: &task,
    };
    // What the cache failed to take is warned of there; the task is made all the same.
    state.write_through.tasks_saved(&[saved], now).await;
    let path = format!("/api/tasks/{}", task.task_id);
    let json = state.renderer.task(&task, now);
    let validator = Validator::of_task(&json);
    Ok(tagged(created(&base, &path, json), &validator))
}

#[derive(Serialize)]
struct HistoryPage {
    history: Vec<HistoryEntry>,
    next_cursor: Option<String>,
}

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
        let task = reader.fetch_task(&task_id, Timestamp::now()).await?;
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
    Ok(known.respond(Answer {
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
