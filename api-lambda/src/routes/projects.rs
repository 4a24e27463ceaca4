//! `/api/projects`: projects and their tasks.

mod project_body;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;
use serde::de::IgnoredAny;
use shared::model::ProjectId;
use shared::server_timing::for_store;
use shared::store::StoreError;
use shared::task_reader::{ConditionalRead, Representation};

use self::project_body::{NewProject, ProjectPatch};
use crate::etag::{IfMatch, IfNoneMatch, validator_of_project};
use crate::json_body::JsonBody;
#[cfg(test)]
use crate::openapi::{
    parameters::{IfMatchHeader, IfNoneMatchHeader, Paging, ProjectPath, TaskFilters},
    schemas,
};
use crate::path_id::PathId;
use crate::problem::ApiError;
use crate::query::QueryParameters;
use crate::retry_on_conflict::retry_on_conflict;
use crate::routes::tasks;
use crate::state::ApiState;
use crate::write_response::WriteResponse;

/// The OpenAPI description of these routes.
#[cfg(test)]
#[derive(utoipa::OpenApi)]
#[openapi(paths(list, create, show, change, list_tasks))]
pub(super) struct Description;

pub(super) fn routes() -> Router<ApiState> {
    Router::new()
        .route("/api/projects", get(list).post(create))
        .route("/api/projects/{project_id}", get(show).patch(change))
        .route("/api/projects/{project_id}/tasks", get(list_tasks))
}

/// Lists the created projects, sorted by id: at most 1,000
#[cfg_attr(test, utoipa::path(
    get, path = "/api/projects", operation_id = "listProjects", tag = "projects",
    params(IfNoneMatchHeader),
    responses((status = 200, description = "The projects", body = schemas::ProjectPage)),
    security(("token" = ["progress:read"])),
    extensions(("x-problems" = json!(["invalid-parameters", "unavailable"])))
))]
async fn list(
    State(state): State<ApiState>,
    parameters: QueryParameters,
    known: IfNoneMatch,
) -> Result<Response, ApiError> {
    parameters.finish()?;
    let reading = state.reader.list_projects(known.validators()).await?;
    Ok(known.respond_to(reading))
}

/// Shows a project
///
/// A project exists once it was created, even if tasks have named it before.
#[cfg_attr(test, utoipa::path(
    get, path = "/api/projects/{project_id}", operation_id = "getProject", tag = "projects",
    params(ProjectPath, IfNoneMatchHeader),
    responses((status = 200, description = "The project", body = schemas::Project)),
    security(("token" = ["progress:read"])),
    extensions(("x-problems" = json!(["invalid-parameters", "project-not-found", "unavailable"])))
))]
async fn show(
    State(state): State<ApiState>,
    PathId(project_id): PathId<ProjectId>,
    parameters: QueryParameters,
    known: IfNoneMatch,
) -> Result<Response, ApiError> {
    parameters.finish()?;
    let answer = fetch_project(&state, &project_id).await?;
    Ok(known.respond(answer))
}

/// Lists the tasks of a project, newest first
///
/// Tasks can name a project before it exists. The list has these tasks too.
#[cfg_attr(test, utoipa::path(
    get, path = "/api/projects/{project_id}/tasks", operation_id = "listProjectTasks", tag = "projects",
    params(ProjectPath, TaskFilters, Paging, IfNoneMatchHeader),
    responses((status = 200, description = "A page of the tasks of the project", body = schemas::TaskPage)),
    security(("token" = ["progress:read"])),
    extensions(("x-problems" = json!(["invalid-parameters", "project-not-found", "unavailable"])))
))]
async fn list_tasks(
    State(state): State<ApiState>,
    PathId(project_id): PathId<ProjectId>,
    parameters: QueryParameters,
    known: IfNoneMatch,
) -> Result<Response, ApiError> {
    let page = tasks::page(&state, parameters, Some(project_id.clone()), &known).await?;
    // A project can have tasks before it exists, so only an empty page needs this check.
    if let ConditionalRead::Current(answer) = &page
        && is_empty(answer)
    {
        fetch_project(&state, &project_id).await?;
    }
    Ok(known.respond_to(page))
}

async fn fetch_project(
    state: &ApiState,
    project_id: &ProjectId,
) -> Result<Representation, ApiError> {
    let answer = state.reader.fetch_project(project_id).await?;
    let answer = answer.ok_or_else(|| ApiError::ProjectNotFound(project_id.clone()))?;
    Ok(representation(answer.json))
}

/// The project whose JSON is `json`.
fn representation(json: Vec<u8>) -> Representation {
    let validator = validator_of_project(&json);
    Representation { validator, json }
}

/// Whether a page has no task.
fn is_empty(page: &Representation) -> bool {
    #[derive(Deserialize)]
    struct TaskPage {
        tasks: Vec<IgnoredAny>,
    }

    serde_json::from_slice::<TaskPage>(&page.json).is_ok_and(|page| page.tasks.is_empty())
}

/// Creates a project
#[cfg_attr(test, utoipa::path(
    post, path = "/api/projects", operation_id = "createProject", tag = "projects",
    request_body(content((NewProject = "application/json"))),
    responses((status = 201, description = "The new project", body = schemas::Project),
        (status = 204, description = "The project is created; the token has no `progress:read`")),
    security(("token" = ["progress:write"])),
    extensions(("x-problems" = json!(["invalid-parameters", "malformed-body", "body-too-large", "unsupported-media-type", "invalid-fields", "project-exists", "unavailable"])))
))]
async fn create(
    State(state): State<ApiState>,
    write_response: WriteResponse,
    parameters: QueryParameters,
    body: JsonBody,
) -> Result<Response, ApiError> {
    parameters.finish()?;
    let project = body.read::<NewProject>()?.into_project(state.now());
    match for_store(state.projects.create(&project)).await {
        Ok(()) => {}
        Err(StoreError::Conflict(_)) => return Err(ApiError::ProjectExists(project.project_id)),
        Err(error) => return Err(error.into()),
    }
    state.write_through.project_saved(&project.project_id).await;
    let path = format!("/api/projects/{}", project.project_id);
    // Tasks can name a project before it exists. Reading the project gives its present metrics. If
    // that fails, the project exists nevertheless.
    let stored = for_store(state.projects.fetch(&project.project_id)).await;
    let project = stored.ok().flatten().unwrap_or(project);
    let created = representation(state.renderer.project(&project));
    Ok(write_response.created(&path, created))
}

/// Changes a project
#[cfg_attr(test, utoipa::path(
    patch, path = "/api/projects/{project_id}", operation_id = "changeProject", tag = "projects",
    params(ProjectPath, IfMatchHeader),
    request_body(content((ProjectPatch = "application/json"), (ProjectPatch = "application/merge-patch+json"))),
    responses((status = 200, description = "The changed project", body = schemas::Project),
        (status = 204, description = "The project is changed; the token has no `progress:read`")),
    security(("token" = ["progress:write"])),
    extensions(("x-problems" = json!(["invalid-parameters", "malformed-body", "body-too-large", "unsupported-media-type", "invalid-fields", "project-not-found", "precondition-failed", "unavailable"])))
))]
async fn change(
    State(state): State<ApiState>,
    PathId(project_id): PathId<ProjectId>,
    write_response: WriteResponse,
    parameters: QueryParameters,
    if_match: IfMatch,
    body: JsonBody,
) -> Result<Response, ApiError> {
    parameters.finish()?;
    let changed = retry_on_conflict(&state.turns, &project_id, || {
        try_change(&state, &project_id, &if_match, &body)
    })
    .await?;
    Ok(write_response.changed(&format!("/api/projects/{project_id}"), changed))
}

/// Reads a project, applies a patch and writes the result.
async fn try_change(
    state: &ApiState,
    project_id: &ProjectId,
    if_match: &IfMatch,
    body: &JsonBody,
) -> Result<Representation, ApiError> {
    let project = for_store(state.projects.fetch(project_id))
        .await?
        .ok_or_else(|| ApiError::ProjectNotFound(project_id.clone()))?;
    let present = representation(state.renderer.project(&project));
    if !if_match.admits_project(&present.validator) {
        return Err(ApiError::ProjectChanged(project_id.clone()));
    }
    let patch: ProjectPatch = body.merged_into(&project)?;
    let next = patch.apply(&project, state.now());
    if next == project {
        return Ok(present);
    }
    for_store(state.projects.update(&project, &next)).await?;
    state.write_through.project_saved(project_id).await;
    Ok(representation(state.renderer.project(&next)))
}
