//! The read path: cache first, store behind it. And its other half, [`WriteThrough`], which keeps the
//! cache true after a write.
//!
//! What the cache holds are the bytes of the API's answers. They are made in one place, the [`Renderer`],
//! so that an answer is the same whoever put it there. The cache may be absent, down, or hold rubbish: the
//! answers stay the same and come from the store.

mod budget;
mod freshness;
mod pages;

mod validator;
mod write_through;

use std::sync::Arc;

use tracing::warn;

use self::budget::CacheBudget;
use self::freshness::{DELETED_BEGIN, cache_ttl, true_until};
use self::pages::Page;

use crate::cache::{CacheError, PAGE_TTL, TaskCache};
use crate::error::error_chain;
use crate::model::{HistoryEntry, ProjectId, TaskId, Timestamp};
use crate::server_timing::for_store;
use crate::store::{ListPosition, ProjectStore, StoreError, TaskQuery, TaskStore};
use crate::view::Renderer;

pub use validator::Validator;
pub use write_through::WriteThrough;

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

/// An answer of the API, as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What changes with it.
    pub validator: Validator,
    /// The answer itself.
    pub json: Vec<u8>,
}

/// What came of asking for an answer that the client may have already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConditionalRead {
    /// The client has it, and said so by this validator.
    NotModified(Validator),
    /// The answer; whether the client has it is yet to be told by its validator.
    Current(Answer),
}

impl ConditionalRead {
    /// The answer; `None` if the client has it.
    pub fn current(self) -> Option<Answer> {
        match self {
            Self::Current(answer) => Some(answer),
            Self::NotModified(_) => None,
        }
    }
}

/// `query` as text: the same text for the same tasks, whatever the order of the filters.
pub fn canonical_query(query: &TaskQuery) -> String {
    let project = query.project_id.as_ref().map_or("", ProjectId::as_str);
    let statuses = sorted_names(query.statuses.iter().map(|status| status.as_str()));
    let task_types = sorted_names(query.task_types.iter().map(|task_type| task_type.as_str()));
    let mut text = format!("tasks?status={statuses}&task_type={task_types}&project_id={project}");
    if let Some(after) = query.updated_after {
        text.push_str(&format!("&updated_after={}", after.as_millis()));
    }
    // Last, as it may be any text.
    if let Some(prefix) = &query.name_prefix {
        text.push_str("&q=");
        text.push_str(prefix);
    }
    text
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
/// given, as a function may be frozen once it has answered; but not into a cache that has just failed, and not
/// longer than what the look-up has left of the time that a request may wait for the cache.
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

    /// A task, not older than what is known under the validators in `known`; `None` if there is none.
    ///
    /// The cache may hold an older state than a client was given: while it did not answer, it was not told of writes,
    /// and answers came from the store. If nobody can be asked who knows better, the client has the latest known state.
    ///
    /// # Errors
    ///
    /// Those of the store, when the cache does not have the task.
    pub async fn fetch_task(
        &self,
        task_id: &TaskId,
        known: &[Validator],
        now: Timestamp,
    ) -> Result<Option<ConditionalRead>, StoreError> {
        let known = known.iter().max_by_key(|known| known.revision());
        let known = known.filter(|known| known.revision().is_some());
        let answer = |json: Vec<u8>| {
            ConditionalRead::Current(Answer {
                validator: Validator::of_record(&json),
                json,
            })
        };
        let is_task = |bytes: &[u8]| starts_as(bytes, "task_id", task_id.as_str());
        let is_old = |bytes: &[u8]| {
            known.is_some_and(|known| Validator::of_record(bytes).revision() < known.revision())
        };
        let mut fillable = None;
        let mut budget = CacheBudget::new();
        if let Some(cache) = &self.cache
            && let Some(held) = budget.within(cache.fetch_task(task_id)).await
        {
            match held {
                Some(bytes) if is_task(&bytes) && !is_old(&bytes) => {
                    return Ok(Some(answer(bytes)));
                }
                Some(bytes) if is_task(&bytes) || bytes.starts_with(DELETED_BEGIN) => {}
                // Rubbish may claim any revision, so it has to go before the task can come.
                Some(_) => {
                    warn!(%task_id, "the cache holds something else than the task");
                    budget.within(cache.remove_task(task_id)).await;
                }
                None => {}
            }
            fillable = Some(cache);
        }
        let fetched = for_store(self.tasks.fetch(task_id)).await;
        if let Err(StoreError::Unavailable { .. }) = &fetched
            && let Some(cache) = fillable
            && let Some(Some(bytes)) = budget.within(cache.fetch_task_as_held(task_id)).await
            && is_task(&bytes)
        {
            return Ok(Some(match known.filter(|_| is_old(&bytes)) {
                Some(known) => ConditionalRead::NotModified(known.clone()),
                None => answer(bytes),
            }));
        }
        let Some(task) = fetched? else {
            return Ok(None);
        };
        let bytes = self.renderer.task(&task, now);
        if let Some(cache) = fillable {
            let ttl = cache_ttl(&self.renderer, &task, now);
            let put = cache.put_task(task_id, task.revision, &bytes, ttl);
            budget.within(put).await;
        }
        Ok(Some(answer(bytes)))
    }

    /// A page of tasks, newest first: `{"tasks":[…],"next_cursor":…}`, unless it is known under one of the
    /// validators in `known`.
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
        known: &[Validator],
        now: Timestamp,
    ) -> Result<ConditionalRead, StoreError> {
        let limit = request.limit.clamp(1, MAX_PAGE_LIMIT);
        let read = async {
            let after = request.after.as_ref();
            let page = self.tasks.list(&request.query, after, limit).await?;
            let next_cursor = page.next.as_ref().map(cursor);
            Ok(Some(Page {
                json: self.renderer.page(&page.tasks, next_cursor, now),
                true_until: true_until(&self.renderer, &page.tasks, now, PAGE_TTL),
            }))
        };
        let key = page_key(request, limit);
        let reading = self.read_page(&key, br#"{"tasks":["#, known, now, read);
        Ok(reading.await?.expect("a list is never absent"))
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
        for_store(self.tasks.history(task_id, after, until, limit)).await
    }

    /// A project; `None` if there is none.
    ///
    /// # Errors
    ///
    /// Those of the store, when the cache does not have the project.
    pub async fn fetch_project(
        &self,
        project_id: &ProjectId,
        now: Timestamp,
    ) -> Result<Option<Answer>, StoreError> {
        let read = async {
            let project = self.projects.fetch(project_id).await?;
            Ok(project.map(|project| Page {
                json: self.renderer.project(&project),
                true_until: now.after(PAGE_TTL),
            }))
        };
        let key = format!("project/{project_id}");
        let begin = format!(r#"{{"project_id":"{project_id}","#);
        let reading = self.read_page(&key, begin.as_bytes(), &[], now, read);
        let answer = reading.await?.and_then(ConditionalRead::current); // nothing was said to be known
        Ok(answer.map(|Answer { json, .. }| Answer {
            // Whoever changes a project names its revision.
            validator: Validator::of_record(&json),
            json,
        }))
    }

    /// All projects by id: `{"projects":[…]}`, unless they are known under one of the validators in
    /// `known`.
    ///
    /// # Errors
    ///
    /// Those of the store, when the cache does not have the list.
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
        let reading = self.read_page(PROJECTS_KEY, br#"{"projects":["#, known, now, read);
        Ok(reading.await?.expect("a list is never absent"))
    }
}

/// What the cache answered; `None`, and a warning, if it failed.
fn log_and_ignore<T>(outcome: Result<T, CacheError>) -> Option<T> {
    outcome
        .inspect_err(|error| warn!(error = error_chain(error), "went on without the cache"))
        .ok()
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
