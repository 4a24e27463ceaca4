//! Watches the calls of the cache. A write that was announced to the cache must be visible in
//! lists.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt as _;
use shared::cache::TaskCache;
use shared::model::{RecordId, Revision};
use shared::store::{TaskQuery, TaskStore};
use testkit::cache::memory::InMemoryTaskCache;
use testkit::faults::{Call, Moment, Role};
use testkit::oracle::Revisions;
use testkit::store::memory::InMemoryStore;

/// The writes that were announced to the cache. Clones share one state.
#[derive(Debug, Clone, Default)]
pub(crate) struct CacheWatch(Arc<Mutex<Arc<Revisions>>>);

impl CacheWatch {
    /// The stored revisions when the present generation began. No list that is requested from now
    /// on may be older.
    pub(crate) fn announced(&self) -> Arc<Revisions> {
        let announced = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&announced)
    }

    /// The observer of a cache in front of `store`.
    ///
    /// It also checks that no call replaces a held task by an earlier revision.
    pub(crate) fn observer(
        &self,
        cache: Arc<InMemoryTaskCache>,
        store: Arc<InMemoryStore>,
    ) -> impl FnMut(&Call<'_>, Moment) + Send + use<> {
        let watch = self.clone();
        let mut before = BTreeMap::new();
        move |call, moment| match (call.role, call.operation, moment) {
            (Role::TaskCache, "put_task", Moment::Begun) => {
                let id: RecordId = call.subjects[0].parse().unwrap();
                before.insert(id.clone(), held_revision(&cache, &id));
            }
            (Role::TaskCache, "put_task", Moment::Made) => {
                let id: RecordId = call.subjects[0].parse().unwrap();
                let before = before.remove(&id).flatten();
                let after = held_revision(&cache, &id);
                assert!(before <= after, "the cache went back with {id}");
            }
            (Role::TaskCache, "bump_generation", Moment::Made) => {
                let stored = Arc::new(stored_revisions(&store));
                *watch.0.lock().unwrap_or_else(PoisonError::into_inner) = stored;
            }
            _ => {}
        }
    }
}

/// The revision of a run that the cache holds.
fn held_revision(cache: &InMemoryTaskCache, id: &RecordId) -> Option<Revision> {
    let held = cache.fetch_task(id).now_or_never().unwrap().unwrap();
    held.revision()
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
