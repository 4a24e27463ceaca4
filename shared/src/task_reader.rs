//! The read path (cache first, then store), and [`WriteThrough`], which updates the cache after a
//! write.
//!
//! The cache holds the bytes of the API's response bodies. Only the [`Renderer`] makes them, so a
//! response is the same whichever process put it there. If the cache is absent, down or holds
//! invalid values, the same response comes from the store.

mod budget;
mod freshness;
mod pages;
mod validator;
mod write_through;

use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use self::budget::CacheBudget;
use self::freshness::{cache_ttl, true_until};
use self::pages::Page;

use crate::cache::{CacheError, CacheLookup, PAGE_TTL, TaskCache};
use crate::error::error_chain;
use crate::model::{HistoryEntry, ProjectId, RecordId, RunId, Task, TaskId, Timestamp};
use crate::server_timing::for_store;
use crate::store::{ProjectStore, StoreError, TaskQuery, TaskStore, TimeRange};
use crate::view::Renderer;

pub use validator::Validator;
pub use write_through::WriteThrough;

/// The largest number of tasks on one page.
pub const MAX_PAGE_LIMIT: usize = 200;

/// How much later than its last change the history of a run may go on: entries of runs that changed
/// in the same millisecond are one after another.
const HISTORY_SLACK: Duration = Duration::from_secs(1);

/// The key of the list of projects, beside the keys of the pages of tasks.
const PROJECTS_KEY: &str = "projects";

/// A request for one page of a list of tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListRequest {
    /// Which tasks to list.
    pub query: TaskQuery,
    /// The run after which the page begins; `None` for the first page.
    pub after: Option<RunId>,
    /// The most tasks on the page: 1 to [`MAX_PAGE_LIMIT`]. Other numbers are clamped.
    pub limit: usize,
}

/// The body of a response of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Representation {
    /// The entity tag of the body.
    pub validator: Validator,
    /// The body.
    pub json: Vec<u8>,
}

/// The result of a conditional read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConditionalRead {
    /// The client's copy, which has this validator, is current.
    NotModified(Validator),
    /// The current representation. The caller still compares its validator with the client's.
    Current(Representation),
}

impl ConditionalRead {
    /// The representation; `None` if the client's copy is current.
    pub fn current(self) -> Option<Representation> {
        match self {
            Self::Current(representation) => Some(representation),
            Self::NotModified(_) => None,
        }
    }
}

/// `query` as text. Equal queries have equal texts, whatever the order of their filters.
pub fn canonical_query(query: &TaskQuery) -> String {
    let project = query.project_id.as_ref().map_or("", ProjectId::as_str);
    let statuses = sorted_names(query.statuses.iter().map(|status| status.as_str()));
    let task_types = sorted_names(query.task_types.iter().map(|task_type| task_type.as_str()));
    let mut text = format!("tasks?status={statuses}&task_type={task_types}&project_id={project}");
    text.push_str(&canonical_range("", query.begun));
    text.push_str(&canonical_range("updated_", query.updated));
    // The searched text comes last, because it may be any text.
    if let Some(wanted) = &query.text {
        text.push_str("&q=");
        text.push_str(wanted);
    }
    text
}

fn canonical_range(name: &str, range: TimeRange) -> String {
    let bounds = [("from", range.from), ("to", range.to)].into_iter();
    let given = bounds.filter_map(|(bound, time)| Some((bound, time?.as_millis())));
    given
        .map(|(bound, ms)| format!("&{name}{bound}={ms}"))
        .collect()
}

fn sorted_names(names: impl Iterator<Item = &'static str>) -> String {
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names.dedup();
    names.join(",")
}

/// Reads tasks and projects as the API shows them.
///
/// A failed call of the cache is logged and counts as a miss. After a miss, the reader fills the
/// cache before it returns, because Lambda may freeze the process after the response. It does not
/// fill a cache that has just failed, and waits only for the rest of the request's cache budget.
#[derive(Clone)]
pub struct TaskReader {
    tasks: Arc<dyn TaskStore>,
    projects: Arc<dyn ProjectStore>,
    cache: Option<Arc<dyn TaskCache>>,
    renderer: Renderer,
}

impl TaskReader {
    /// Creates a reader of these stores behind `cache`, if there is one.
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

    /// Reads a run that is no older than the revisions of `known`; `None` if there is none.
    ///
    /// The cache may hold an older state than the client has: it may have missed writes while it
    /// was down. If the store is down too, the client's copy is the latest known state.
    ///
    /// # Errors
    ///
    /// An error of the store, if the cache does not have the task.
    pub async fn fetch_task(
        &self,
        id: &RecordId,
        known: &[Validator],
        now: Timestamp,
    ) -> Result<Option<ConditionalRead>, StoreError> {
        let known = known
            .iter()
            .filter_map(|known| Some((known.revision()?, known)))
            .max_by_key(|(revision, _)| *revision);
        let is_outdated = |revision| known.is_some_and(|(known, _)| revision < known);
        let current = |revision, json: Vec<u8>| {
            ConditionalRead::Current(Representation {
                validator: Validator::of_revision(revision, &json),
                json,
            })
        };
        let mut fillable = None;
        let mut budget = CacheBudget::new();
        if let Some(cache) = &self.cache
            && let Some(lookup) = budget.within(cache.fetch_task(id)).await
        {
            match lookup {
                CacheLookup::Task { revision, json } if !is_outdated(revision) => {
                    return Ok(Some(current(revision, json)));
                }
                // An invalid value may have any revision, so it must go before the task is put.
                CacheLookup::Invalid => {
                    warn!(%id, "the cache holds an invalid value for a task");
                    budget.within(cache.remove_task(id)).await;
                }
                CacheLookup::Task { .. } | CacheLookup::Deleted { .. } | CacheLookup::Miss => {}
            }
            fillable = Some(cache);
        }
        let fetched = for_store(self.tasks.fetch(id)).await;
        if let Err(StoreError::Unavailable { .. }) = &fetched
            && let Some(cache) = fillable
            && let Some(lookup) = budget.within(cache.fetch_task_as_held(id)).await
            && let CacheLookup::Task { revision, json } = lookup
        {
            return Ok(Some(match known {
                Some((_, known)) if is_outdated(revision) => {
                    ConditionalRead::NotModified(known.clone())
                }
                _ => current(revision, json),
            }));
        }
        let Some(task) = fetched? else {
            return Ok(None);
        };
        let json = self.renderer.task(&task, now);
        if let Some(cache) = fillable {
            let ttl = cache_ttl(&self.renderer, &task, now);
            let id = task.record_id();
            let put = cache.put_task(&id, task.revision, &json, ttl);
            budget.within(put).await;
        }
        Ok(Some(current(task.revision, json)))
    }

    /// Reads a page of tasks, newest first: `{"tasks":[…],"next_cursor":…}`. `known` are the
    /// validators of the client's copies.
    ///
    /// A page ends before `limit` where its body would exceed
    /// [`MAX_PAGE_BYTES`](crate::view::MAX_PAGE_BYTES). `cursor` writes the run after which the next
    /// page begins as text. It is called only if there is a next page.
    ///
    /// # Errors
    ///
    /// An error of the store, if the cache does not have the page.
    pub async fn list_tasks(
        &self,
        request: &ListRequest,
        cursor: impl Fn(&RunId) -> String + Send,
        known: &[Validator],
        now: Timestamp,
    ) -> Result<ConditionalRead, StoreError> {
        let limit = request.limit.clamp(1, MAX_PAGE_LIMIT);
        let read = async {
            let after = request.after.as_ref();
            let page = self.tasks.list(&request.query, after, limit).await?;
            Ok(Some(Page {
                json: self
                    .renderer
                    .page(&page.tasks, page.next.as_ref(), cursor, now),
                true_until: true_until(&self.renderer, &page.tasks, now, PAGE_TTL),
            }))
        };
        let key = page_key(request, limit);
        let list = self.read_page(&key, known, now, read).await?;
        Ok(list.expect("a list is never absent"))
    }

    /// Reads the history of a run, oldest first: at most `limit` entries later than `after`, none
    /// later than `until`; `None` if there is no such run. It is not cached.
    ///
    /// # Errors
    ///
    /// An error of the store.
    pub async fn history(
        &self,
        id: &RecordId,
        after: Option<Timestamp>,
        until: Option<Timestamp>,
        limit: usize,
    ) -> Result<Option<Vec<HistoryEntry>>, StoreError> {
        let Some(run) = for_store(self.tasks.fetch(id)).await? else {
            return Ok(None);
        };
        // After its last change there are only entries of later runs, but for some milliseconds.
        let last = Some(run.updated_at.after(HISTORY_SLACK)).filter(|_| run.is_earlier);
        let until = [until, last].into_iter().flatten().min();
        let run_id = run.run_id();
        let history = self.tasks.history(&run_id, after, until, limit);
        for_store(history).await.map(Some)
    }

    /// Reads the runs of a task, the newest first: at most `limit` that began before `before`. They
    /// are not cached.
    ///
    /// # Errors
    ///
    /// An error of the store.
    pub async fn runs(
        &self,
        task_id: &TaskId,
        before: Option<Timestamp>,
        limit: usize,
    ) -> Result<Vec<Task>, StoreError> {
        for_store(self.tasks.runs(task_id, before, limit)).await
    }

    /// Reads a project; `None` if there is none.
    ///
    /// # Errors
    ///
    /// An error of the store, if the cache does not have the project.
    pub async fn fetch_project(
        &self,
        project_id: &ProjectId,
        now: Timestamp,
    ) -> Result<Option<Representation>, StoreError> {
        let read = async {
            let project = self.projects.fetch(project_id).await?;
            Ok(project.map(|project| Page {
                json: self.renderer.project(&project),
                true_until: now.after(PAGE_TTL),
            }))
        };
        let key = format!("project/{project_id}");
        let page = self.read_page(&key, &[], now, read).await?;
        let current = page.and_then(ConditionalRead::current); // no validator was known
        Ok(current.map(|Representation { json, .. }| Representation {
            // A client that changes a project names the revision in `If-Match`.
            validator: Validator::of_record(&json),
            json,
        }))
    }

    /// Reads all projects, by id: `{"projects":[…]}`. `known` are the validators of the client's
    /// copies.
    ///
    /// # Errors
    ///
    /// An error of the store, if the cache does not have the list.
    pub async fn list_projects(
        &self,
        known: &[Validator],
        now: Timestamp,
    ) -> Result<ConditionalRead, StoreError> {
        let read = async {
            Ok(Some(Page {
                json: self.renderer.projects(&self.projects.list().await?),
                true_until: now.after(PAGE_TTL),
            }))
        };
        let list = self.read_page(PROJECTS_KEY, known, now, read).await?;
        Ok(list.expect("a list is never absent"))
    }
}

/// The response of the cache; `None` and a warning if it failed.
fn log_and_ignore<T>(outcome: Result<T, CacheError>) -> Option<T> {
    outcome
        .inspect_err(|error| warn!(error = error_chain(error), "went on without the cache"))
        .ok()
}

fn page_key(request: &ListRequest, limit: usize) -> String {
    let query = canonical_query(&request.query);
    match &request.after {
        Some(run_id) => format!("{query}&limit={limit}&after={run_id}"),
        None => format!("{query}&limit={limit}"),
    }
}
