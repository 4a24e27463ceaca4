//! The bodies of `POST /api/projects` and `PATCH /api/projects/{project_id}`.

use serde::Deserialize;
use shared::model::{Metrics, Project, ProjectId, ProjectStatus, Revision, Timestamp};

#[cfg(test)]
use crate::json_body::field_types::Prefix;
use crate::json_body::field_types::{Id, Message, Name, OneOf, Prefixes};
#[cfg(test)]
use crate::openapi::schemas;

/// A new project. A field that is null counts as absent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(crate) struct NewProject {
    /// The id. The default is a new UUID.
    #[cfg_attr(test, schema(value_type = Option<schemas::Id>))]
    project_id: Option<Id<ProjectId>>,
    /// The name for people.
    project_name: Name,
    /// What the project is about.
    description: Option<Message>,
    /// The status. The default is `active`.
    #[cfg_attr(test, schema(value_type = Option<schemas::ProjectStatus>))]
    status: Option<OneOf<ProjectStatus>>,
    /// The person or team responsible.
    owner: Option<Name>,
    /// A task belongs to the project if its stack or log stream starts with one of these prefixes.
    #[serde(rename = "match")]
    #[cfg_attr(test, schema(value_type = Option<Vec<Prefix>>, max_items = 20))]
    match_prefixes: Option<Prefixes>,
}

impl NewProject {
    /// The project, created at `now`.
    pub(super) fn into_project(self, now: Timestamp) -> Project {
        Project {
            project_id: self
                .project_id
                .map_or_else(ProjectId::random, Id::into_inner),
            project_name: self.project_name.into(),
            description: self.description.map(Into::into),
            status: self.status.map_or(ProjectStatus::Active, OneOf::into_inner),
            owner: self.owner.map(Into::into),
            match_prefixes: self.match_prefixes.unwrap_or_default().into(),
            revision: Revision::default().next(),
            metrics: Metrics::default(),
            created_at: now,
            updated_at: now,
        }
    }
}

/// A change of a project: a JSON merge patch (RFC 7396). Absent fields stay as they are, and null
/// removes a value.
// The handler merges the patch into the project first. So every field has its value after the
// change.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(crate) struct ProjectPatch {
    /// The name for people.
    #[cfg_attr(test, schema(required = false))]
    project_name: Name,
    /// What the project is about.
    description: Option<Message>,
    /// The status.
    #[cfg_attr(test, schema(value_type = schemas::ProjectStatus, required = false))]
    status: OneOf<ProjectStatus>,
    /// The person or team responsible.
    owner: Option<Name>,
    /// The new list of prefixes. It replaces the old list.
    #[serde(rename = "match")]
    #[cfg_attr(test, schema(value_type = Option<Vec<Prefix>>, max_items = 20))]
    match_prefixes: Option<Prefixes>,
}

impl ProjectPatch {
    /// The changed project. It has its present revision if nothing changes.
    pub(super) fn apply(self, project: &Project, now: Timestamp) -> Project {
        let mut next = Project {
            project_name: self.project_name.into(),
            description: self.description.map(Into::into),
            status: self.status.into_inner(),
            owner: self.owner.map(Into::into),
            match_prefixes: self.match_prefixes.unwrap_or_default().into(),
            ..project.clone()
        };
        if next != *project {
            next.updated_at = project.updated_at.max(now);
            next.revision = project.revision.next();
        }
        next
    }
}
