//! A collector with in-memory stores and a log source of the test's choice.

use std::sync::Arc;
use std::time::Duration;

use progress_collector::{Collector, CollectorConfig, LogGroup, Parts, Summary, Sweep};
use shared::log_parser::LogFormat;
use shared::log_source::LogSource;
use shared::model::{Revision, Task, Timestamp};
use shared::store::TaskStore;
use testkit::cache::memory::InMemoryTaskCache;
use testkit::checkpoint::InMemoryCheckpointStore;
use testkit::object_source::InMemoryObjectSource;
use testkit::store::memory::InMemoryStore;
use tokio::time::Instant;

/// A collector and its task store.
pub(crate) struct Harness {
    collector: Collector,
    store: Arc<InMemoryStore>,
}

impl Harness {
    /// Creates a collector that reads these log groups.
    pub(crate) fn reading(logs: Arc<dyn LogSource>, groups: &[(&str, LogFormat)]) -> Self {
        let store = Arc::new(InMemoryStore::default());
        let parts = Parts {
            tasks: store.clone(),
            projects: store.clone(),
            checkpoints: Arc::new(InMemoryCheckpointStore::new()),
            cache: Some(Arc::new(InMemoryTaskCache::default())),
            logs,
            objects: Arc::new(InMemoryObjectSource::default()),
        };
        let group = |(name, format): &(&str, LogFormat)| LogGroup {
            name: (*name).to_owned(),
            format: *format,
        };
        let config = CollectorConfig {
            groups: groups.iter().map(group).collect(),
            // Short enough that a window of one page is one request.
            first_sweep: Duration::from_secs(1_800),
            ..CollectorConfig::default()
        };
        Self {
            collector: Collector::new(parts, config),
            store,
        }
    }

    pub(crate) async fn sweep(&self, now: Timestamp, deadline: Option<Instant>) -> Summary {
        let sweep = self.collector.handle(&Sweep, now, deadline);
        sweep.await.unwrap()
    }

    /// All tasks, without the fields that depend on how often they were written.
    pub(crate) async fn tasks(&self) -> Vec<Task> {
        let query = Default::default();
        let listed = self.store.list(&query, None, 200).await.unwrap().tasks;
        let mut tasks = Vec::new();
        for task in listed {
            let mut task = self.store.fetch(&task.record_id()).await.unwrap().unwrap();
            task.revision = Revision::default();
            task.usual_duration_ms = None; // depends on which runs had ended when this one started
            tasks.push(task);
        }
        tasks
    }
}
