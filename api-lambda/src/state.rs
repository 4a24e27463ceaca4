//! The state that all handlers share.

use std::sync::Arc;
use std::time::Duration;

use shared::cache::TaskCache;
use shared::ingest::Ingest;
use shared::log_source::TailSource;
use shared::model::Timestamp;
use shared::store::{ProjectStore, TaskStore};
use shared::task_reader::{ChangeListener, TaskReader, WriteThrough};
use shared::view::Renderer;

use crate::push::PushEndpoint;
use crate::retry_on_conflict::Turns;

/// The stores, the optional cache, and the clock of the API. Cheap to clone.
#[derive(Clone)]
pub struct ApiState {
    pub(crate) tasks: Arc<dyn TaskStore>,
    pub(crate) projects: Arc<dyn ProjectStore>,
    pub(crate) cache: Option<Arc<dyn TaskCache>>,
    pub(crate) reader: TaskReader,
    pub(crate) write_through: WriteThrough,
    pub(crate) ingest: Arc<Ingest>,
    pub(crate) renderer: Renderer,
    pub(crate) turns: Arc<Turns>,
    /// Whether the last lines that are sent are kept.
    pub(crate) keeps_log_tail: bool,
    /// Where the last lines of log streams are read, if anywhere.
    pub(crate) log_tails: Option<Arc<dyn TailSource>>,
    /// Where browsers subscribe to changes; `None` if they can't.
    pub(crate) push: Option<PushEndpoint>,
    clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

impl ApiState {
    /// The state of an API. A running task is stale if it has no event for `stale_after`.
    pub fn new(
        tasks: Arc<dyn TaskStore>,
        projects: Arc<dyn ProjectStore>,
        cache: Option<Arc<dyn TaskCache>>,
        stale_after: Duration,
    ) -> Self {
        let renderer = Renderer::new(stale_after);
        let write_through = WriteThrough::new(cache.clone(), renderer);
        let ingest = Ingest::new(tasks.clone(), projects.clone(), write_through.clone());
        Self {
            reader: TaskReader::new(tasks.clone(), projects.clone(), cache.clone(), renderer),
            write_through,
            ingest: Arc::new(ingest),
            tasks,
            projects,
            cache,
            renderer,
            turns: Arc::default(),
            keeps_log_tail: true,
            log_tails: None,
            push: None,
            clock: Arc::new(Timestamp::now),
        }
    }

    /// Sets the AWS region of the log groups. Without it, no task tells where its log is.
    #[must_use]
    pub fn with_region(self, region: Option<&'static str>) -> Self {
        let renderer = self.renderer.with_region(region);
        let write_through = WriteThrough::new(self.cache.clone(), renderer);
        let (tasks, projects) = (self.tasks.clone(), self.projects.clone());
        let reader = TaskReader::new(
            tasks.clone(),
            projects.clone(),
            self.cache.clone(),
            renderer,
        );
        Self {
            ingest: Arc::new(Ingest::new(tasks, projects, write_through.clone())),
            write_through,
            reader,
            renderer,
            ..self
        }
    }

    /// Sets whether the last lines that are sent are kept. They are unless it is called.
    #[must_use]
    pub fn with_log_tail(self, keeps_log_tail: bool) -> Self {
        Self {
            keeps_log_tail,
            ..self
        }
    }

    /// Sets where the last lines of log streams are read. Nowhere, unless it is called.
    #[must_use]
    pub fn with_log_tails(self, log_tails: Arc<dyn TailSource>) -> Self {
        Self {
            log_tails: Some(log_tails),
            ..self
        }
    }

    /// Sets where browsers subscribe to changes. Without it, they ask again and again.
    #[must_use]
    pub fn with_push(self, push: PushEndpoint) -> Self {
        Self {
            push: Some(push),
            ..self
        }
    }

    /// Sets the listener to the changes that this API saves.
    #[must_use]
    pub fn with_listener(self, listener: Arc<dyn ChangeListener>) -> Self {
        let write_through = self.write_through.with_listener(listener);
        let (tasks, projects) = (self.tasks.clone(), self.projects.clone());
        Self {
            ingest: Arc::new(Ingest::new(tasks, projects, write_through.clone())),
            write_through,
            ..self
        }
    }

    /// Replaces the system clock. For tests: the clocks of several instances are never exactly the
    /// same.
    #[must_use]
    pub fn with_clock(self, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self {
            clock: Arc::new(clock),
            ..self
        }
    }

    /// The present time.
    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }
}
