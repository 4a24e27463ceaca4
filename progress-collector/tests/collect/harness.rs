//! A collector with all its services in memory.

use std::sync::Arc;
use std::time::Duration;

use progress_collector::{Collector, CollectorConfig, LogGroup, Parts, Summary, Sweep};
use shared::log_event::LogEvent;
use shared::log_parser::LogFormat;
use shared::log_source::LogSource;
use shared::model::{Task, TaskId, Timestamp};
use shared::store::TaskStore;
use testkit::cache::memory::InMemoryTaskCache;
use testkit::checkpoint::InMemoryCheckpointStore;
use testkit::log_source::InMemoryLogSource;
use testkit::object_source::InMemoryObjectSource;
use testkit::store::memory::InMemoryStore;

pub(crate) const CDK: &str = "/miyabi/cdk";
pub(crate) const AGENTS: &str = "/miyabi/agents";
/// The time of the first log event.
pub(crate) const START_MS: i64 = 1_795_255_200_000;

/// A collector and its services.
pub(crate) struct Harness {
    pub(crate) store: Arc<InMemoryStore>,
    pub(crate) checkpoints: Arc<InMemoryCheckpointStore>,
    pub(crate) cache: Arc<InMemoryTaskCache>,
    pub(crate) logs: Arc<InMemoryLogSource>,
    pub(crate) objects: Arc<InMemoryObjectSource>,
}

impl Harness {
    /// Creates two empty log groups with pages of `page_size` events.
    pub(crate) fn new(page_size: usize) -> Self {
        let logs = Arc::new(InMemoryLogSource::new(page_size));
        logs.put(CDK, []);
        logs.put(AGENTS, []);
        Self {
            store: Arc::default(),
            checkpoints: Arc::default(),
            cache: Arc::default(),
            logs,
            objects: Arc::default(),
        }
    }

    pub(crate) fn parts(&self) -> Parts {
        Parts {
            tasks: self.store.clone(),
            projects: self.store.clone(),
            checkpoints: self.checkpoints.clone(),
            cache: Some(self.cache.clone()),
            logs: self.logs.clone(),
            objects: self.objects.clone(),
        }
    }

    pub(crate) fn collector(&self) -> Collector {
        Collector::new(self.parts(), config())
    }

    /// A collector that reads from `logs`.
    pub(crate) fn collector_reading(&self, logs: Arc<dyn LogSource>) -> Collector {
        Collector::new(
            Parts {
                logs,
                ..self.parts()
            },
            config(),
        )
    }

    pub(crate) async fn sweep(&self) -> Summary {
        self.sweep_at(now()).await
    }

    pub(crate) async fn sweep_at(&self, moment: Timestamp) -> Summary {
        let collector = self.collector();
        collector.handle(&Sweep, moment, None).await.unwrap()
    }

    pub(crate) async fn task(&self, task_id: &str) -> Option<Task> {
        TaskStore::fetch(&*self.store, &id(task_id).into())
            .await
            .unwrap()
    }

    /// All tasks, without the fields that depend on how often they were written.
    pub(crate) async fn tasks(&self) -> Vec<Task> {
        let mut tasks = self
            .store
            .list(&Default::default(), None, 200)
            .await
            .unwrap()
            .tasks;
        for task in &mut tasks {
            task.revision = Default::default();
            task.usual_duration_ms = None; // depends on which runs had ended when this one started
        }
        tasks
    }
}

pub(crate) fn config() -> CollectorConfig {
    let group = |name: &str, format| LogGroup {
        name: name.to_owned(),
        format,
    };
    CollectorConfig {
        groups: vec![group(CDK, LogFormat::CDK), group(AGENTS, LogFormat::AGENT)],
        overlap: Duration::from_secs(300),
        first_sweep: Duration::from_secs(1_800),
        ..CollectorConfig::default()
    }
}

/// Ten minutes after the first log event.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_millis(START_MS + 600_000)
}

pub(crate) fn id(text: &str) -> TaskId {
    text.parse().unwrap()
}

/// Log events of one stream, one per line and second.
pub(crate) fn events(stream: &str, lines: &[&str]) -> Vec<LogEvent> {
    let event = |(index, line): (usize, &&str)| {
        let time = Timestamp::from_millis(START_MS + 1_000 * i64::try_from(index).unwrap());
        LogEvent {
            log_stream: stream.to_owned(),
            timestamp: time,
            ingested_at: time,
            event_id: format!("{index:056}"),
            message: (*line).to_owned(),
        }
    };
    lines.iter().enumerate().map(event).collect()
}

/// A deploy of one stack, with 3 of 5 resources done.
pub(crate) const RUNNING: [&str; 5] = [
    "Api: deploying... [1/1]",
    "Api: creating CloudFormation changeset...",
    "Api | 0/5 | 10:00:02 AM | CREATE_IN_PROGRESS   | AWS::CloudFormation::Stack | Api User Initiated",
    "Api | 1/5 | 10:00:03 AM | CREATE_COMPLETE      | AWS::SQS::Queue | Jobs (Jobs1A2B3C4D) ",
    "Api | 3/5 | 10:00:04 AM | CREATE_COMPLETE      | AWS::SNS::Topic | News (News1A2B3C4D) ",
];

/// The same deploy, completed.
pub(crate) fn completed() -> Vec<&'static str> {
    let end = [
        "Api | 5/5 | 10:00:05 AM | CREATE_COMPLETE      | AWS::CloudFormation::Stack | Api ",
        "",
        " ✅  Api",
    ];
    RUNNING.iter().chain(&end).copied().collect()
}

/// The same deploy, failed and rolled back.
pub(crate) fn rolled_back() -> Vec<&'static str> {
    let end = [
        "Api | 3/5 | 10:00:05 AM | CREATE_FAILED        | AWS::S3::Bucket | Files (Files1A2B3C4D) files already exists",
        "Api | 3/5 | 10:00:06 AM | ROLLBACK_IN_PROGRESS | AWS::CloudFormation::Stack | Api The following resource(s) failed to create: [Files1A2B3C4D].",
        "Api | 2/5 | 10:00:07 AM | DELETE_COMPLETE      | AWS::SNS::Topic | News (News1A2B3C4D) ",
        "Api | 3/5 | 10:00:09 AM | ROLLBACK_COMPLETE    | AWS::CloudFormation::Stack | Api ",
        " ❌  Api failed: Error: The stack named Api failed creation: ROLLBACK_COMPLETE",
    ];
    RUNNING.iter().chain(&end).copied().collect()
}
