//! A collector whose stores are in memory, and whose logs are from where a test says.

use std::sync::Arc;
use std::time::Duration;

use progress_collector::{Collector, CollectorConfig, LogGroup, Parts, Summary, Trigger};
use shared::log_parser::LogFormat;
use shared::log_source::LogSource;
use shared::model::{Revision, Task, Timestamp};
use shared::store::TaskStore;
use testkit::cache::memory::InMemoryTaskCache;
use testkit::checkpoint::InMemoryCheckpointStore;
use testkit::store::memory::InMemoryStore;
use tokio::time::Instant;

/// The collector, and what it has stored.
pub(crate) struct World {
    collector: Collector,
    store: Arc<InMemoryStore>,
}

impl World {
    /// A collector that reads these log groups.
    pub(crate) fn reading(logs: Arc<dyn LogSource>, groups: &[(&str, LogFormat)]) -> Self {
        let store = Arc::new(InMemoryStore::default());
        let parts = Parts {
            tasks: store.clone(),
            projects: store.clone(),
            checkpoints: Arc::new(InMemoryCheckpointStore::new()),
            cache: Some(Arc::new(InMemoryTaskCache::default())),
            logs,
        };
        let group = |(name, format): &(&str, LogFormat)| LogGroup {
            name: (*name).to_owned(),
            format: *format,
        };
        let config = CollectorConfig {
            groups: groups.iter().map(group).collect(),
            // One request, if there is one page.
            first_sweep: Duration::from_secs(1_800),
            ..CollectorConfig::default()
        };
        Self {
            collector: Collector::new(parts, config),
            store,
        }
    }

    /// The collector alone.
    pub(crate) fn into_collector(self) -> Collector {
        self.collector
    }

    pub(crate) async fn sweep(&self, now: Timestamp, deadline: Option<Instant>) -> Summary {
        let sweep = self.collector.handle(Trigger::Sweep, now, deadline);
        sweep.await.unwrap()
    }

    /// All tasks, without what depends on how often they were written.
    pub(crate) async fn tasks(&self) -> Vec<Task> {
        let query = Default::default();
        let mut tasks = self.store.list(&query, None, 200).await.unwrap().tasks;
        for task in &mut tasks {
            task.revision = Revision::default();
            task.usual_duration_ms = None; // it depends on which runs were over when this one began
        }
        tasks
    }
}
