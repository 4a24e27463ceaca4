//! The read path: cache first, store behind it. And its other half, [`WriteThrough`], which keeps the
//! cache true after a write.
//!
//! What the cache holds are the bytes of the API's answers. They are made in one place, the [`Renderer`],
//! so that an answer is the same whoever put it there. The cache may be absent, down, or hold rubbish: the
//! answers stay the same and come from the store.

mod renderer;
mod write_through;

use std::sync::Arc;

use tracing::warn;

use crate::cache::{CacheError, PAGE_TTL, TaskCache};
use crate::error::error_chain;
use crate::model::{HistoryEntry, ProjectId, TaskId, Timestamp};
use crate::store::{ListPosition, ProjectStore, StoreError, TaskQuery, TaskStore};

pub use renderer::{Renderer, TaskView};
pub use write_through::{SavedTask, WriteThrough};

/// The largest number of tasks in one answer.
pub const MAX_PAGE_LIMIT: usize = 200;

/// The key under which the list of projects is kept, beside the pages of tasks.
const PROJECTS_KEY: &str = "projects";

/// One page of a list of tasks, as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListRequest {
    /// Which tasks.
    pub query: TaskQuery,
    /// Tasks that stand after this position; `None`: from the newest on.
    pub after: Option<ListPosition>,
    /// How many at most, 1 to [`MAX_PAGE_LIMIT`]; what lies outside becomes the nearest inside.
    pub limit: usize,
}

/// `query` as text: the same text for the same tasks, whatever the order of the filters.
pub fn canonical_query(query: &TaskQuery) -> String {
    let project = query.project_id.as_ref().map_or("", ProjectId::as_str);
    let statuses = sorted_names(query.statuses.iter().map(|status| status.as_str()));
    let task_types = sorted_names(query.task_types.iter().map(|task_type| task_type.as_str()));
    format!("tasks?status={statuses}&task_type={task_types}&project_id={project}")
}

fn sorted_names(names: impl Iterator<Item = &'static str>) -> String {
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names.dedup();
    names.join(",")
}

/// Reads tasks and projects as the API answers them.
///
/// A cache that fails is a warning and a miss. What was missed is put into the cache before the answer is
/// given, as a function may be frozen once it has answered; but not into a cache that has just failed, so
/// that a request waits for it once.
#[derive(Clone)]
pub struct TaskReader {
    tasks: Arc<dyn TaskStore>,
    projects: Arc<dyn ProjectStore>,
    cache: Option<Arc<dyn TaskCache>>,
    renderer: Renderer,
}

impl TaskReader {
    /// A reader of these stores, through `cache` if there is one.
    pub fn new(
        tasks: Arc<dyn TaskStore>,
        projects: Arc<dyn ProjectStore>,
        cache: Option<Arc<dyn TaskCache>>,
        renderer: Renderer,
    ) -> Self {
        Self {
            tasks,
            projects,
            cache,
            renderer,
        }
    }

    /// A task as JSON; `None` if there is none.
    ///
    /// # Errors
    ///
    /// Those of the store, when the cache does not have the task.
    pub async fn fetch_task(
        &self,
        task_id: &TaskId,
        now: Timestamp,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let mut fillable = None;
        if let Some(cache) = &self.cache
            && let Some(held) = heeded(cache.fetch_task(task_id).await)
        {
            match held {
                Some(bytes) if starts_as(&bytes, "task_id", task_id.as_str()) => {
                    return Ok(Some(bytes));
                }
                // Rubbish may claim any revision, so it has to go before the task can come.
                Some(_) => {
                    warn!(%task_id, "the cache holds something else than the task");
                    heeded(cache.remove_task(task_id).await);
                }
                None => {}
            }
            fillable = Some(cache);
        }
        let Some(task) = self.tasks.fetch(task_id).await? else {
            return Ok(None);
        };
        let bytes = self.renderer.task(&task, now);
        if let Some(cache) = fillable {
            let ttl = self.renderer.cache_ttl(&task, now);
            heeded(cache.put_task(task_id, task.revision, &bytes, ttl).await);
        }
        Ok(Some(bytes))
    }

    /// A page of tasks, newest first, as JSON: `{"tasks":[…],"next_cursor":…}`.
    ///
    /// `cursor` writes down where the next page begins; it is called only if there is one.
    ///
    /// # Errors
    ///
    /// Those of the store, when the cache does not have the page.
    pub async fn list_tasks(
        &self,
        request: &ListRequest,
        cursor: impl Fn(&ListPosition) -> String + Send,
        now: Timestamp,
    ) -> Result<Vec<u8>, StoreError> {
        let limit = request.limit.clamp(1, MAX_PAGE_LIMIT);
        let key = page_key(request, limit);
        let (page, fillable) = self.cached_page(&key, br#"{"tasks":["#).await;
        if let Some(page) = page {
            return Ok(page);
        }
        let wanted = look_ahead(limit);
        let after = request.after.as_ref();
        let mut tasks = self.tasks.list(&request.query, after, wanted).await?;
        let has_more = tasks.len() >= wanted;
        tasks.truncate(limit);
        let last = tasks.last().filter(|_| has_more).map(ListPosition::of);
        let bytes = self.renderer.page(&tasks, last.map(|at| cursor(&at)), now);
        // A page is kept for a fixed time, so one that would be wrong before is not kept at all.
        let turns_stale = |task| self.renderer.turns_stale_within(task, now, PAGE_TTL);
        if let Some((cache, generation)) = fillable
            && !tasks.iter().any(turns_stale)
        {
            heeded(cache.put_page(&key, generation, &bytes).await);
        }
        Ok(bytes)
    }

    /// A task's history, oldest first: at most `limit` entries later than `after`, none later than
    /// `until`. It is not cached.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub async fn history(
        &self,
        task_id: &TaskId,
        after: Option<Timestamp>,
        until: Option<Timestamp>,
        limit: usize,
    ) -> Result<Vec<HistoryEntry>, StoreError> {
        self.tasks.history(task_id, after, until, limit).await
    }

    /// A project as JSON; `None` if there is none.
    ///
    /// # Errors
    ///
    /// Those of the store, when the cache does not have the project.
    pub async fn fetch_project(
        &self,
        project_id: &ProjectId,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let mut fillable = None;
        if let Some(cache) = &self.cache
            && let Some(held) = heeded(cache.fetch_project(project_id).await)
        {
            match held {
                Some(bytes) if starts_as(&bytes, "project_id", project_id.as_str()) => {
                    return Ok(Some(bytes));
                }
                Some(_) => warn!(%project_id, "the cache holds something else than the project"),
                None => {}
            }
            fillable = Some(cache);
        }
        let Some(project) = self.projects.fetch(project_id).await? else {
            return Ok(None);
        };
        let bytes = self.renderer.project(&project);
        if let Some(cache) = fillable {
            heeded(cache.put_project(project_id, &bytes).await);
        }
        Ok(Some(bytes))
    }

    /// All projects by id, as JSON: `{"projects":[…]}`.
    ///
    /// # Errors
    ///
    /// Those of the store, when the cache does not have the list.
    pub async fn list_projects(&self) -> Result<Vec<u8>, StoreError> {
        let (page, fillable) = self.cached_page(PROJECTS_KEY, br#"{"projects":["#).await;
        if let Some(page) = page {
            return Ok(page);
        }
        let bytes = self.renderer.projects(&self.projects.list().await?);
        if let Some((cache, generation)) = fillable {
            heeded(cache.put_page(PROJECTS_KEY, generation, &bytes).await);
        }
        Ok(bytes)
    }

    /// The page that the cache has under `key`, if it begins as it should; or else the cache to fill and
    /// the generation to fill it for, if it answered.
    async fn cached_page(
        &self,
        key: &str,
        begin: &[u8],
    ) -> (Option<Vec<u8>>, Option<(&dyn TaskCache, u64)>) {
        let Some(cache) = self.cache.as_deref() else {
            return (None, None);
        };
        let Some(lookup) = heeded(cache.fetch_page(key).await) else {
            return (None, None);
        };
        match lookup.page {
            Some(page) if page.starts_with(begin) && page.ends_with(b"}") => (Some(page), None),
            Some(_) => {
                warn!("the cache holds something else than a page");
                (None, Some((cache, lookup.generation)))
            }
            None => (None, Some((cache, lookup.generation))),
        }
    }
}

/// What the cache answered; `None`, and a warning, if it failed.
fn heeded<T>(outcome: Result<T, CacheError>) -> Option<T> {
    outcome
        .inspect_err(|error| warn!(error = error_chain(error), "went on without the cache"))
        .ok()
}

/// How many tasks to ask the store for. One more than wanted tells whether there is a next page; but a
/// store lists no more than the largest page, so after a full one of these the next may be empty.
fn look_ahead(limit: usize) -> usize {
    (limit + 1).min(MAX_PAGE_LIMIT)
}

fn page_key(request: &ListRequest, limit: usize) -> String {
    let query = canonical_query(&request.query);
    match &request.after {
        Some(ListPosition {
            updated_at,
            task_id,
        }) => format!(
            "{query}&limit={limit}&after={},{task_id}",
            updated_at.as_millis()
        ),
        None => format!("{query}&limit={limit}"),
    }
}

/// Whether `bytes` look like our JSON of the thing with this id: enough to tell it from rubbish and from
/// another thing, without parsing. No character of an id is escaped in JSON.
fn starts_as(bytes: &[u8], field: &str, id: &str) -> bool {
    let begin = format!(r#"{{"{field}":"{id}","#);
    bytes.starts_with(begin.as_bytes()) && bytes.ends_with(b"}")
}

#[cfg(test)]
mod tests;
