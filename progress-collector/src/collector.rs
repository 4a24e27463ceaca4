//! The collector: its stores, its settings, and saving what was read.

use std::sync::Arc;

use shared::batch::Batch;
use shared::cache::TaskCache;
use shared::checkpoint::CheckpointStore;
use shared::ingest::{Ingest, IngestCounts, Pace};
use shared::log_source::LogSource;
use shared::model::Timestamp;
use shared::object_source::{ObjectError, ObjectSource};
use shared::store::{ProjectStore, StoreError, TaskStore};
use shared::task_reader::WriteThrough;
use shared::view::Renderer;
use tokio::time::Instant;

use crate::config::{CollectorConfig, LogGroup};
use crate::summary::GroupSummary;

/// The services that the collector works with.
#[derive(Clone)]
pub struct Parts {
    /// The task store.
    pub tasks: Arc<dyn TaskStore>,
    /// The project store.
    pub projects: Arc<dyn ProjectStore>,
    /// The checkpoint of each log group.
    pub checkpoints: Arc<dyn CheckpointStore>,
    /// The cache; `None` if no Redis is configured.
    pub cache: Option<Arc<dyn TaskCache>>,
    /// The source of log events.
    pub logs: Arc<dyn LogSource>,
    /// The source of logs that were stored whole.
    pub objects: Arc<dyn ObjectSource>,
}

/// Why an invocation failed. Invoking the collector again may help.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// A task or a checkpoint could not be read or written.
    #[error("tasks or checkpoints can't be read or saved")]
    Store(#[from] StoreError),
    /// An object could not be read to its end.
    #[error(transparent)]
    Object(#[from] ObjectError),
}

/// Reads log events and saves tasks.
pub struct Collector {
    pub(crate) parts: Parts,
    pub(crate) config: CollectorConfig,
    pub(crate) ingest: Ingest,
}

impl Collector {
    /// Creates a collector.
    pub fn new(parts: Parts, config: CollectorConfig) -> Self {
        let renderer = Renderer::new(config.stale_after).with_region(config.region);
        let ingest = Ingest::new(
            Arc::clone(&parts.tasks),
            Arc::clone(&parts.projects),
            WriteThrough::new(parts.cache.clone(), renderer),
        );
        Self {
            parts,
            config,
            ingest,
        }
    }

    /// The configured log group of this name.
    pub(crate) fn group(&self, name: &str) -> Option<&LogGroup> {
        self.config.groups.iter().find(|group| group.name == name)
    }

    /// Ends the runs that have been silent for [`CollectorConfig::stale_after`], until the
    /// `last_moment` at most. Returns how many.
    ///
    /// # Errors
    ///
    /// [`CollectError`] if tasks could not be read or saved.
    pub async fn end_silent_runs(
        &self,
        now: Timestamp,
        last_moment: Option<Instant>,
    ) -> Result<u64, CollectError> {
        let mut counts = IngestCounts::default();
        let since = now.before(self.config.stale_after);
        let ended = self
            .ingest
            .end_silent_runs(since, now, last_moment, &mut counts);
        ended.await?;
        Ok(counts.tasks_changed)
    }

    /// Saves the tasks of `batch`, empties it, and adds the counts to `summary`.
    pub(crate) async fn save(
        &self,
        batch: &mut Batch,
        pace: Pace,
        now: Timestamp,
        summary: &mut GroupSummary,
    ) -> Result<(), StoreError> {
        let mut counts = IngestCounts::default();
        let outcome = self.ingest.save(batch, pace, now, &mut counts).await;
        summary.count_saved(counts);
        outcome
    }
}
