//! The read path (cache first, then store), and [`WriteThrough`], which updates the cache after a
//! write.
//!
//! The cache holds the bytes of the API's response bodies, with the time when they were true. Only
//! the [`Renderer`] makes them, so a response is the same whichever process put it there.
//!
//! | answer | fresh for |
//! | --- | --- |
//! | about a run | 5 s; 60 s once it has ended |
//! | a page, a project, the list of projects | 5 s; 1 s after something was written |
//!
//! A fresh answer is shown as it is. Otherwise the store is asked, and the cache keeps its answer
//! unless it holds a later one. If the store is down, the cache's answer is shown however old. So
//! whatever happens to the cache, an answer is older than its time in the table only while the
//! store is down.

mod budget;
mod freshness;
mod keys;
mod overview;
mod read_through;
mod write_through;

use std::sync::Arc;
use std::time::Duration;

use self::freshness::{FRESH_FOR, fresh_for};
use self::keys::{page_key, project_key, projects_key};
use self::read_through::Reading;

use crate::cache::{CacheKey, TaskCache};
use crate::model::{HistoryEntry, ProjectId, RecordId, RunId, Task, TaskId, Timestamp};
use crate::server_timing::for_store;
use crate::store::{ProjectStore, StoreError, TaskQuery, TaskStore, TimeRange};
use crate::validator::Validator;
use crate::view::Renderer;

pub use write_through::{ChangeListener, WriteThrough};

/// The largest number of tasks on one page.
pub const MAX_PAGE_LIMIT: usize = 200;

/// How much later than its last change the history of a run may go on: entries of runs that changed
/// in the same millisecond are one after another.
const HISTORY_SLACK: Duration = Duration::from_secs(1);

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
/// A failed call of the cache is logged and counts as a miss. The reader fills the cache before it
/// returns, because Lambda may freeze the process after the response. It waits for the cache only
/// as long as the request's budget allows.
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
    /// # Errors
    ///
    /// An error of the store, if the cache does not have the task.
    pub async fn fetch_task(
        &self,
        id: &RecordId,
        known: &[Validator],
        now: Timestamp,
    ) -> Result<Option<ConditionalRead>, StoreError> {
        let read = async {
            let task = self.tasks.fetch(id).await?;
            Ok(task.map(|task| {
                let json = self.renderer.task(&task, now);
                Reading {
                    run: Some((task.record_id(), task.revision)),
                    fresh_for: fresh_for(&task),
                    representation: Representation {
                        validator: Validator::of_revision(task.revision, &json),
                        json,
                    },
                }
            }))
        };
        self.read_through(&CacheKey::Run(id.clone()), known, read)
            .await
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
            let page = self
                .renderer
                .page(&page.tasks, page.next.as_ref(), cursor, now);
            Ok(Some(page_of(page)))
        };
        let key = page_key(request, limit);
        let list = self.read_through(&key, known, read).await?;
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
    ) -> Result<Option<Representation>, StoreError> {
        let read = async {
            let project = self.projects.fetch(project_id).await?;
            Ok(project.map(|project| page_of(self.renderer.project(&project))))
        };
        let key = project_key(project_id);
        let page = self.read_through(&key, &[], read).await?;
        Ok(page.and_then(ConditionalRead::current)) // no validator was known
    }

    /// Reads all projects, by id: `{"projects":[…]}`. `known` are the validators of the client's
    /// copies.
    ///
    /// # Errors
    ///
    /// An error of the store, if the cache does not have the list.
    pub async fn list_projects(&self, known: &[Validator]) -> Result<ConditionalRead, StoreError> {
        let read = async {
            let projects = self.projects.list().await?;
            Ok(Some(page_of(self.renderer.projects(&projects))))
        };
        let key = projects_key();
        let list = self.read_through(&key, known, read).await?;
        Ok(list.expect("a list is never absent"))
    }
}

/// A page as it was read from the store.
fn page_of(json: Vec<u8>) -> Reading {
    Reading {
        run: None,
        fresh_for: FRESH_FOR,
        representation: Representation {
            validator: Validator::of_bytes(&json),
            json,
        },
    }
}
