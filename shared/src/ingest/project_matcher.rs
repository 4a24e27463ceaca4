//! Finds the project of a task whose logs name none.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::model::{Project, ProjectId, Task};
use crate::store::{ProjectStore, StoreError};

/// How long the list of projects is used before it is read again.
const PROJECTS_TTL: Duration = Duration::from_secs(60);

/// Matches tasks to projects by the name prefixes that projects list.
pub(super) struct ProjectMatcher {
    projects: Arc<dyn ProjectStore>,
    known: Mutex<Option<(Instant, Vec<Project>)>>,
}

impl ProjectMatcher {
    /// Creates a matcher that reads the projects from `projects`.
    pub(super) fn new(projects: Arc<dyn ProjectStore>) -> Self {
        Self {
            projects,
            known: Mutex::new(None),
        }
    }

    /// Finds the project with the longest prefix of the task's log stream or of one of its stacks.
    pub(super) async fn project_of(&self, task: &Task) -> Result<Option<ProjectId>, StoreError> {
        let mut known = self.known.lock().await;
        let is_fresh = known
            .as_ref()
            .is_some_and(|(read_at, _)| read_at.elapsed() < PROJECTS_TTL);
        if !is_fresh {
            *known = Some((Instant::now(), self.projects.list_without_metrics().await?));
        }
        let projects = known.iter().flat_map(|(_, projects)| projects);
        Ok(best_match(projects, task))
    }
}

fn best_match<'a>(projects: impl Iterator<Item = &'a Project>, task: &Task) -> Option<ProjectId> {
    let names: Vec<_> = task.parts.keys().chain(&task.log_stream).collect();
    let begins_one = |prefix: &&String| names.iter().any(|name| name.starts_with(prefix.as_str()));
    let longest = |project: &'a Project| {
        let lengths = project
            .match_prefixes
            .iter()
            .filter(begins_one)
            .map(String::len);
        lengths.max().map(|length| (length, project))
    };
    // Among equally long prefixes the lower id wins, so the choice does not depend on the order.
    let best = projects
        .filter_map(longest)
        .max_by(|(length, project), (other_length, other)| {
            (length, &other.project_id).cmp(&(other_length, &project.project_id))
        });
    best.map(|(_, project)| project.project_id.clone())
}
