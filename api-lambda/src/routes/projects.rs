//! `/api/projects`: projects, their tasks; and new projects.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;
use shared::model::{
    MAX_NAME_CHARS, Metrics, Project, ProjectId, ProjectStatus, Revision, Timestamp,
};
use shared::server_timing::for_store;
use shared::store::StoreError;
use shared::task_reader::{ConditionalRead, Validator};

use crate::answer::{Json, created};
use crate::etag::{IfMatch, IfNoneMatch, tagged};
use crate::fields::{Fields, TextRule};
use crate::front_door::BasePath;
#[cfg(test)]
use crate::openapi::{
    self, Expected, Known, NewProject, Paging, ProjectPage, ProjectPatch, ProjectPath, TaskFilters,
    TaskPage,
};
use crate::parameters::{Parameters, PathId};
use crate::problem::ApiError;
use crate::routes::tasks;
use crate::state::{ApiState, CONFLICT_ATTEMPTS};

/// The longest `description`, in bytes.
pub(crate) const MAX_DESCRIPTION_BYTES: usize = 1024;
/// The most prefixes in `match`.
const MAX_PREFIXES: usize = 20;
/// The longest of them, in characters.
pub(crate) const MAX_PREFIX_CHARS: usize = 128;

/// The routes, described.
#[cfg(test)]
#[derive(utoipa::OpenApi)]
#[openapi(paths(list, create, show, change, list_tasks))]
pub(crate) struct Described;

pub(crate) fn routes() -> Router<ApiState> {
    Router::new()
        .route("/api/projects", get(list).post(create))
        .route("/api/projects/{project_id}", get(show).patch(change))
        .route("/api/projects/{project_id}/tasks", get(list_tasks))
}

/// Lists all projects, by id
#[cfg_attr(test, utoipa::path(
    get, path = "/api/projects", operation_id = "listProjects", tag = "projects",
    params(Known),
    responses((status = 200, description = "The projects", body = ProjectPage)),
    security(("token" = ["progress:read"])),
    extensions(("x-problems" = json!(["invalid-parameters", "unavailable"])))
))]
async fn list(
    State(state): State<ApiState>,
    parameters: Parameters,
    known: IfNoneMatch,
) -> Result<Response, ApiError> {
    parameters.finish()?;
    let projects = state.reader.list_projects(known.validators(), state.now());
    Ok(known.respond_to(projects.await?))
}

/// Shows a project
#[cfg_attr(test, utoipa::path(
    get, path = "/api/projects/{project_id}", operation_id = "getProject", tag = "projects",
    params(ProjectPath, Known),
    responses((status = 200, description = "The project", body = openapi::Project)),
    security(("token" = ["progress:read"])),
    extensions(("x-problems" = json!(["invalid-parameters", "project-not-found", "unavailable"])))
))]
async fn show(
    State(state): State<ApiState>,
    PathId(project_id): PathId<ProjectId>,
    parameters: Parameters,
    known: IfNoneMatch,
) -> Result<Response, ApiError> {
    parameters.finish()?;
    let project = state.reader.fetch_project(&project_id, state.now());
    let project = project.await?;
    let project = project.ok_or(ApiError::ProjectNotFound(project_id))?;
    Ok(known.respond(project))
}

/// Lists the tasks of a project, newest first
///
/// Tasks may name a project before it is made: these are listed as well.
#[cfg_attr(test, utoipa::path(
    get, path = "/api/projects/{project_id}/tasks", operation_id = "listProjectTasks", tag = "projects",
    params(ProjectPath, TaskFilters, Paging, Known),
    responses((status = 200, description = "A page of its tasks", body = TaskPage)),
    security(("token" = ["progress:read"])),
    extensions(("x-problems" = json!(["invalid-parameters", "project-not-found", "unavailable"])))
))]
async fn list_tasks(
    State(state): State<ApiState>,
    PathId(project_id): PathId<ProjectId>,
    parameters: Parameters,
    known: IfNoneMatch,
) -> Result<Response, ApiError> {
    let page = tasks::page(&state, parameters, Some(project_id.clone()), &known).await?;
    // So the project is looked for only where there are none.
    if let ConditionalRead::Current(answer) = &page
        && answer.json.starts_with(br#"{"tasks":[]"#)
    {
        let project = state.reader.fetch_project(&project_id, state.now());
        let project = project.await?;
        project.ok_or(ApiError::ProjectNotFound(project_id))?;
    }
    Ok(known.respond_to(page))
}

/// Makes a project
#[cfg_attr(test, utoipa::path(
    post, path = "/api/projects", operation_id = "createProject", tag = "projects",
    request_body(content((NewProject = "application/json"))),
    responses((status = 201, description = "The project that was made", body = openapi::Project)),
    security(("token" = ["progress:write"])),
    extensions(("x-problems" = json!(["invalid-parameters", "malformed-body", "body-too-large", "unsupported-media-type", "invalid-fields", "project-exists", "unavailable"])))
))]
async fn create(
    State(state): State<ApiState>,
    base: BasePath,
    parameters: Parameters,
    fields: Fields,
) -> Result<Response, ApiError> {
    parameters.finish()?;
    let project = parse(fields, state.now())?;
    match for_store(state.projects.create(&project)).await {
        Ok(()) => {}
        Err(StoreError::Conflict(_)) => return Err(ApiError::ProjectExists(project.project_id)),
        Err(error) => return Err(error.into()),
    }
    state.write_through.project_saved().await;
    let path = format!("/api/projects/{}", project.project_id);
    // Tasks that name the project may be there already, so that its metrics are not those it was made
    // with. The project is made, whatever comes of reading it.
    let read = for_store(state.projects.fetch(&project.project_id)).await;
    let project = read.ok().flatten().unwrap_or(project);
    let json = state.renderer.project(&project);
    let validator = Validator::of_record(&json);
    Ok(tagged(created(&base, &path, json), &validator))
}

/// Changes a project
#[cfg_attr(test, utoipa::path(
    patch, path = "/api/projects/{project_id}", operation_id = "changeProject", tag = "projects",
    params(ProjectPath, Expected),
    request_body(content((ProjectPatch = "application/json"), (ProjectPatch = "application/merge-patch+json"))),
    responses((status = 200, description = "The project as it is now", body = openapi::Project)),
    security(("token" = ["progress:write"])),
    extensions(("x-problems" = json!(["invalid-parameters", "malformed-body", "body-too-large", "unsupported-media-type", "invalid-fields", "project-not-found", "precondition-failed", "unavailable"])))
))]
async fn change(
    State(state): State<ApiState>,
    PathId(project_id): PathId<ProjectId>,
    parameters: Parameters,
    if_match: IfMatch,
    patch: Fields,
) -> Result<Response, ApiError> {
    parameters.finish()?;
    let mut conflict = None;
    for _ in 0..CONFLICT_ATTEMPTS {
        let project = for_store(state.projects.fetch(&project_id)).await?;
        let project = project.ok_or_else(|| ApiError::ProjectNotFound(project_id.clone()))?;
        if !if_match.admits(project.revision) {
            return Err(ApiError::ProjectChanged(project_id));
        }
        let mut next = patched(patch.clone(), &project)?;
        if next != project {
            next.updated_at = project.updated_at.max(state.now());
            next.revision = project.revision.next();
            match for_store(state.projects.update(&project, &next)).await {
                Ok(()) => {}
                Err(error @ StoreError::Conflict(_)) => {
                    conflict = Some(error);
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
            state.write_through.project_saved().await;
        }
        let json = state.renderer.project(&next);
        let validator = Validator::of_record(&json);
        return Ok(tagged(Json(json).into_response(), &validator));
    }
    let conflict = conflict.unwrap_or_else(|| StoreError::Conflict(project_id.to_string()));
    Err(ApiError::Unavailable(conflict))
}

/// `project` with a merge patch applied.
fn patched(patch: Fields, project: &Project) -> Result<Project, ApiError> {
    let document = json!({
        "project_name": project.project_name,
        "description": project.description,
        "status": project.status,
        "owner": project.owner,
        "match": project.match_prefixes,
    });
    let document = document.as_object().cloned().unwrap_or_default();
    let mut fields = patch.merged_into(document);
    let status = fields.parsed("status");
    let status = fields.require("status", status);
    let next = parse_fields(fields, project.clone())?;
    Ok(Project {
        status: status.unwrap_or(project.status),
        ..next
    })
}

fn parse(mut fields: Fields, now: Timestamp) -> Result<Project, ApiError> {
    let project_id = fields.id("project_id");
    let status = fields.parsed("status").unwrap_or(ProjectStatus::Active);
    let project = Project {
        project_id: project_id.unwrap_or_else(ProjectId::random),
        project_name: String::new(),
        description: None,
        status,
        owner: None,
        match_prefixes: Vec::new(),
        revision: Revision::default().next(),
        metrics: Metrics::default(),
        created_at: now,
        updated_at: now,
    };
    parse_fields(fields, project)
}

/// `project` with the remaining fields as they are given, or absent.
fn parse_fields(mut fields: Fields, project: Project) -> Result<Project, ApiError> {
    let project_name = fields.text("project_name", TextRule::Name(MAX_NAME_CHARS));
    let project_name = fields.require("project_name", project_name);
    let description = fields.text("description", TextRule::Message(MAX_DESCRIPTION_BYTES));
    let owner = fields.text("owner", TextRule::Name(MAX_NAME_CHARS));
    let prefix = TextRule::Name(MAX_PREFIX_CHARS);
    let match_prefixes = fields.texts("match", MAX_PREFIXES, prefix);
    fields.finish()?;
    let Some(project_name) = project_name else {
        // `require` has noted what is missing, so `finish` has failed already.
        return Err(ApiError::InvalidFields(Vec::new()));
    };
    Ok(Project {
        project_name,
        description,
        owner,
        match_prefixes,
        ..project
    })
}
