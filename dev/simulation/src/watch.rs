//! Watches the calls of the store and of the cache, to know how old an answer is.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt as _;
use shared::cache::CacheKey;
use shared::model::{RecordId, Revision};
use shared::store::{TaskQuery, TaskStore};
use testkit::cache::memory::InMemoryTaskCache;
use testkit::faults::{Call, Moment, Role};
use testkit::oracle::Revisions;
use testkit::store::memory::InMemoryStore;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

/// What was stored when. Clones share one state.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watch(Arc<Mutex<Timeline>>);

#[derive(Debug, Default)]
struct Timeline {
    /// The revisions that a run had, each with the time of its beginning. `None`: no such run.
    runs: BTreeMap<RecordId, Vec<(Instant, Option<Revision>)>>,
    stored: Revisions,
    /// When the present generation of the cache began.
    announced: Option<Instant>,
    /// The stored runs by their own ids.
    listed: BTreeMap<String, Revision>,
    /// Those who are told of each change.
    watchers: Vec<UnboundedSender<Told>>,
}

/// What live push tells of a run.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) run_id: String,
    pub(crate) revision: Revision,
    /// Whether it still exists.
    pub(crate) exists: bool,
}

impl Timeline {
    fn note(&mut self, stored: Revisions) {
        let now = Instant::now();
        for id in self.stored.keys().chain(stored.keys()) {
            let (before, after) = (self.stored.get(id), stored.get(id));
            if before != after {
                let revisions = self.runs.entry(id.clone()).or_default();
                revisions.push((now, after.copied()));
            }
        }
        self.stored = stored;
    }
}

impl Timeline {
    /// Tells of the runs that differ from what was stored before.
    fn tell(&mut self, listed: BTreeMap<String, Revision>) {
        for (run_id, revision) in &listed {
            if self.listed.get(run_id) != Some(revision) {
                self.send(run_id, *revision, true);
            }
        }
        for (run_id, revision) in self.listed.clone() {
            if !listed.contains_key(&run_id) {
                self.send(&run_id, revision.next(), false);
            }
        }
        self.listed = listed;
    }

    fn send(&mut self, run_id: &str, revision: Revision, exists: bool) {
        self.watchers.retain(|watcher| {
            let told = Told {
                run_id: run_id.to_owned(),
                revision,
                exists,
            };
            watcher.send(told).is_ok()
        });
    }
}

impl Watch {
    /// What live push tells from now on.
    pub(crate) fn tell(&self) -> UnboundedReceiver<Told> {
        let (watcher, told) = unbounded_channel();
        self.lock().watchers.push(watcher);
        told
    }

    fn lock(&self) -> MutexGuard<'_, Timeline> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the present generation of the cache began.
    pub(crate) fn announced(&self) -> Option<Instant> {
        self.lock().announced
    }

    /// When a run first had this revision or a later one.
    pub(crate) fn stored_at(&self, id: &RecordId, revision: Revision) -> Option<Instant> {
        let timeline = self.lock();
        let mut revisions = timeline.runs.get(id)?.iter();
        let stored = revisions.find(|(_, stored)| *stored >= Some(revision));
        stored.map(|(at, _)| *at)
    }

    /// Whether a run had this revision at any time since `oldest`.
    pub(crate) fn was_stored_since(
        &self,
        id: &RecordId,
        revision: Revision,
        oldest: Instant,
    ) -> bool {
        let timeline = self.lock();
        let revisions = timeline.runs.get(id).map_or(&[][..], Vec::as_slice);
        let ends = revisions.iter().skip(1).map(|(at, _)| Some(*at));
        let mut spans = revisions.iter().zip(ends.chain([None]));
        spans.any(|((_, stored), end)| {
            *stored == Some(revision) && end.is_none_or(|end| end >= oldest)
        })
    }

    /// The runs that existed all the time since `oldest`.
    pub(crate) fn existing_since(&self, oldest: Instant) -> Vec<RecordId> {
        let timeline = self.lock();
        let existed = |revisions: &&Vec<(Instant, Option<Revision>)>| {
            let before = revisions.iter().take_while(|(at, _)| *at < oldest).last();
            let since = revisions.iter().filter(|(at, _)| *at >= oldest);
            before.is_some_and(|(_, stored)| stored.is_some())
                && since.clone().all(|(_, stored)| stored.is_some())
        };
        let runs = timeline.runs.iter();
        let existing = runs.filter(|(_, revisions)| existed(revisions));
        existing.map(|(id, _)| id.clone()).collect()
    }

    /// The observer of a cache in front of `store`.
    ///
    /// It also checks that no call replaces a held run by an earlier revision.
    pub(crate) fn observer(
        &self,
        cache: Arc<InMemoryTaskCache>,
        store: Arc<InMemoryStore>,
    ) -> impl FnMut(&Call<'_>, Moment) + Send + use<> {
        let watch = self.clone();
        let mut before = BTreeMap::new();
        move |call, moment| match (call.role, call.operation, moment) {
            (Role::TaskCache, "put", Moment::Begun) => {
                if let Some(key) = run_of(call) {
                    let version = held_version(&cache, &key);
                    before.insert(key, version);
                }
            }
            (Role::TaskCache, "put", Moment::Made) => {
                if let Some(key) = run_of(call) {
                    let before = before.remove(&key).flatten();
                    let after = held_version(&cache, &key);
                    assert!(before <= after, "the cache went back with {key:?}");
                }
            }
            (Role::TaskCache, "begin_generation", Moment::Made) => {
                watch.lock().announced = Some(Instant::now());
            }
            (Role::TaskStore, "save" | "create", Moment::Made) => {
                let mut timeline = watch.lock();
                timeline.note(stored_revisions(&store));
                timeline.tell(stored_runs(&store));
            }
            _ => {}
        }
    }
}

/// The run that a call of the cache is about; `None` if it is about a page.
fn run_of(call: &Call<'_>) -> Option<CacheKey> {
    call.subjects[0].parse().ok().map(CacheKey::Run)
}

fn held_version(cache: &InMemoryTaskCache, key: &CacheKey) -> Option<u64> {
    cache.held(key).map(|held| held.version)
}

/// The revisions of all stored runs, by the runs' own ids.
pub(crate) fn stored_runs(store: &InMemoryStore) -> BTreeMap<String, Revision> {
    let query = TaskQuery::default();
    let page = TaskStore::list(store, &query, None, usize::MAX).now_or_never();
    let tasks = page.unwrap().unwrap().tasks.into_iter();
    tasks
        .map(|task| (task.run_id().to_string(), task.revision))
        .collect()
}

/// The revisions of all stored runs.
pub(crate) fn stored_revisions(store: &InMemoryStore) -> Revisions {
    let query = TaskQuery::default();
    let page = TaskStore::list(store, &query, None, usize::MAX).now_or_never();
    let tasks = page.unwrap().unwrap().tasks.into_iter();
    tasks
        .map(|task| (task.record_id(), task.revision))
        .collect()
}
