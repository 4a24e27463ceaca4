//! What every handler can use.

use std::sync::Arc;
use std::time::Duration;

use shared::cache::TaskCache;
use shared::model::Timestamp;
use shared::store::{ProjectStore, TaskStore};
use shared::task_reader::{TaskReader, WriteThrough};
use shared::view::Renderer;

/// How often a handler tries a write against faster writers.
pub(crate) const CONFLICT_ATTEMPTS: u32 = 8;

/// The parts that the API stands on: stores, and a cache if there is one. Cheap to clone.
#[derive(Clone)]
pub struct ApiState {
    pub(crate) tasks: Arc<dyn TaskStore>,
    pub(crate) projects: Arc<dyn ProjectStore>,
    pub(crate) cache: Option<Arc<dyn TaskCache>>,
    pub(crate) reader: TaskReader,
    pub(crate) write_through: WriteThrough,
    pub(crate) renderer: Renderer,
    clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

impl ApiState {
    /// An API on these parts, for which a running task is stale after a silence of `stale_after`.
    pub fn new(
        tasks: Arc<dyn TaskStore>,
        projects: Arc<dyn ProjectStore>,
        cache: Option<Arc<dyn TaskCache>>,
        stale_after: Duration,
    ) -> Self {
        let renderer = Renderer::new(stale_after);
        Self {
            reader: TaskReader::new(tasks.clone(), projects.clone(), cache.clone(), renderer),
            write_through: WriteThrough::new(cache.clone(), renderer),
            tasks,
            projects,
            cache,
            renderer,
            clock: Arc::new(Timestamp::now),
        }
    }

    /// The same API, by another clock than the system's: clocks of several instances are never quite the same.
    #[must_use]
    pub fn with_clock(self, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self {
            clock: Arc::new(clock),
            ..self
        }
    }

    /// The present moment.
    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }
}
