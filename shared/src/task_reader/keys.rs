//! The keys of answers that are not about a run.

use super::ListRequest;
use super::canonical_query;
use crate::cache::CacheKey;
use crate::model::ProjectId;

/// The key of a page of tasks.
pub(super) fn page_key(request: &ListRequest, limit: usize) -> CacheKey {
    let query = canonical_query(&request.query);
    CacheKey::Page(match &request.after {
        Some(run_id) => format!("{query}&limit={limit}&after={run_id}"),
        None => format!("{query}&limit={limit}"),
    })
}

/// The key of a project.
pub(super) fn project_key(project_id: &ProjectId) -> CacheKey {
    CacheKey::Page(format!("project/{project_id}"))
}

/// The key of the list of projects.
pub(super) fn projects_key() -> CacheKey {
    CacheKey::Page("projects".to_owned())
}

/// The key of the overview.
pub(super) fn overview_key() -> CacheKey {
    CacheKey::Page("overview".to_owned())
}
