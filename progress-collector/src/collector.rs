//! The handler behind all triggers.

use std::sync::Arc;
use std::time::Duration;

use shared::batch::Batch;
use shared::cache::TaskCache;
use shared::checkpoint::CheckpointStore;
use shared::config::{ConfigError, Settings};
use shared::event_sink::EventSink;
use shared::ingest::{Ingest, IngestCounts};
use shared::log_parser::LogFormat;
use shared::log_source::LogSource;
use shared::model::Timestamp;
use shared::store::{ProjectStore, StoreError, TaskStore};
use shared::task_reader::WriteThrough;
use shared::view::Renderer;
use tokio::time::Instant;
use tracing::info;

use crate::summary::{GroupSummary, Summary};
use crate::trigger::Trigger;

/// What the collector works with.
#[derive(Clone)]
pub struct Parts {
    /// Where tasks are kept.
    pub tasks: Arc<dyn TaskStore>,
    /// Where projects are kept.
    pub projects: Arc<dyn ProjectStore>,
    /// Where it is kept how far each log group was read.
    pub checkpoints: Arc<dyn CheckpointStore>,
    /// The cache, if there is one.
    pub cache: Option<Arc<dyn TaskCache>>,
    /// Where log events come from.
    pub logs: Arc<dyn LogSource>,
}

/// A log group that is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogGroup {
    /// Its name.
    pub name: String,
    /// The format of its logs.
    pub format: LogFormat,
}

/// How the collector reads.
#[derive(Debug, Clone)]
pub struct CollectorConfig {
    /// `CDK_LOG_GROUP_NAME` and `AGENT_LOG_GROUP_NAME`; at least one.
    pub groups: Vec<LogGroup>,
    /// `OVERLAP_SECONDS` (0 to 86,400, default 300): how far before its checkpoint a sweep starts, for events that
    /// arrive late. CloudWatch Logs has no filter by the time of arrival.
    pub overlap: Duration,
    /// `FIRST_SWEEP_SECONDS` (60 to 1,209,600, default 86,400): how far back the first sweep of a log group goes.
    pub first_sweep: Duration,
    /// `STALE_AFTER_SECONDS`: see [`shared::config::stale_after`].
    pub stale_after: Duration,
}

impl Default for CollectorConfig {
    fn default() -> Self {
        Self {
            groups: Vec::new(),
            overlap: Duration::from_secs(300),
            first_sweep: Duration::from_secs(86_400),
            stale_after: Duration::from_secs(900),
        }
    }
}

impl CollectorConfig {
    /// Reads the settings of the collector.
    pub fn from_settings(settings: &Settings<'_>) -> Result<Self, ConfigError> {
        let group = |format: LogFormat| {
            let name = settings.optional(format.environment_variable)?;
            Some(LogGroup { name, format })
        };
        let groups: Vec<_> = LogFormat::ALL.into_iter().filter_map(group).collect();
        if groups.is_empty() {
            return Err(ConfigError::Missing {
                name: "CDK_LOG_GROUP_NAME or AGENT_LOG_GROUP_NAME",
            });
        }
        let seconds = |name, default, (least, most), expected| {
            settings
                .number(name, default, (least, most), expected)
                .map(Duration::from_secs)
        };
        Ok(Self {
            groups,
            overlap: seconds(
                "OVERLAP_SECONDS",
                300,
                (0, 86_400),
                "seconds from 0 to 86400",
            )?,
            first_sweep: seconds(
                "FIRST_SWEEP_SECONDS",
                86_400,
                (60, 1_209_600),
                "seconds from 60 to 1209600",
            )?,
            stale_after: shared::config::stale_after(settings)?,
        })
    }
}

/// Why an invocation has failed: running it again may help.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// What was read could not be saved, or how far to read not be learnt.
    #[error("what the logs say can't be saved")]
    Store(#[from] StoreError),
}

/// Reads logs and keeps tasks.
pub struct Collector {
    pub(crate) parts: Parts,
    pub(crate) config: CollectorConfig,
    pub(crate) ingest: Ingest,
    pub(crate) write_through: WriteThrough,
    /// Who is told of transitions, if anyone is.
    pub(crate) events: Option<Arc<dyn EventSink>>,
}

impl Collector {
    /// A collector of these parts.
    pub fn new(parts: Parts, config: CollectorConfig) -> Self {
        let write_through =
            WriteThrough::new(parts.cache.clone(), Renderer::new(config.stale_after));
        let ingest = Ingest::new(
            Arc::clone(&parts.tasks),
            Arc::clone(&parts.projects),
            write_through.clone(),
        );
        Self {
            parts,
            config,
            ingest,
            write_through,
            events: None,
        }
    }

    /// The same collector, which tells `events` of the transitions that the tasks table's stream has.
    #[must_use]
    pub fn with_event_sink(self, events: Arc<dyn EventSink>) -> Self {
        Self {
            events: Some(events),
            ..self
        }
    }

    /// Saves what `batch` has gathered, and counts it in `summary`.
    pub(crate) async fn save(
        &self,
        batch: &mut Batch,
        now: Timestamp,
        summary: &mut GroupSummary,
    ) -> Result<(), StoreError> {
        let mut counts = IngestCounts::default();
        let outcome = self.ingest.save(batch, now, &mut counts).await;
        summary.count_saved(counts);
        outcome
    }

    /// Does what `trigger` asks for, as of `now`, and stops in time before `deadline`.
    ///
    /// # Errors
    ///
    /// [`CollectError`] if something could not be saved. Logs that can't be read are no error: the summary
    /// says so, and the next sweep goes on from the checkpoint.
    pub async fn handle(
        &self,
        trigger: Trigger,
        now: Timestamp,
        deadline: Option<Instant>,
    ) -> Result<Summary, CollectError> {
        let started = Instant::now();
        let mut summary = match trigger {
            Trigger::Sweep => self.sweep(now, deadline).await?,
            Trigger::Backfill {
                log_group,
                start,
                end,
            } => self.backfill(&log_group, start, end, now, deadline).await?,
            Trigger::Push(events) => self.push(&events, now).await?,
            Trigger::Stream(records) => self.notify(&records, deadline).await,
        };
        summary.duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        if let Some(events) = &summary.events {
            info!(
                trigger = summary.trigger,
                records = events.records,
                unreadable = events.unreadable,
                events_sent = events.sent,
                events_failed = events.failed,
                events_rejected = events.rejected,
                requests = events.requests,
                duration_ms = summary.duration_ms,
                "notified"
            );
            return Ok(summary);
        }
        let totals = summary.totals();
        info!(
            trigger = summary.trigger,
            pages = totals.pages,
            events = totals.events,
            lines = totals.lines,
            parse_failures = totals.parse_failures,
            tasks_changed = totals.tasks_changed,
            retries = totals.retries,
            cache_errors = totals.cache_errors,
            lag_ms = totals.lag_ms,
            complete = totals.complete,
            fallback_used = summary.fallback_used,
            duration_ms = summary.duration_ms,
            "collected"
        );
        Ok(summary)
    }
}
