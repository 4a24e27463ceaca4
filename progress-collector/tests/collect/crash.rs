//! A collector that is killed between any two steps: the next run repairs everything.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use progress_collector::{Collector, Parts, Sweep};
use proptest::prelude::*;
use shared::checkpoint::{Checkpoint, CheckpointStore};
use shared::fold::Ledger;
use shared::log_event::LogEvent;
use shared::log_source::{LogPage, LogSource, LogSourceError, PageRequest};
use shared::model::{HistoryEntry, Task, TaskId, Timestamp};
use shared::store::{
    IdempotencyRecord, ListPosition, StoreError, TaskPage, TaskQuery, TaskRecord, TaskStore,
};
use tokio::time::{Instant, timeout};

use crate::harness::{self, AGENTS, CDK, Harness, completed, events, now, rolled_back};
use crate::races::{block_on, config};

/// Lets a number of steps pass, then never answers again: what a killed process looks like from
/// outside.
struct Fuse {
    steps: AtomicUsize,
    /// How long a step takes.
    takes: Duration,
}

impl Fuse {
    async fn burn(&self) {
        tokio::time::sleep(self.takes).await;
        let left = self
            .steps
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            });
        if left.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// A part in which a fuse burns before and after each step that changes something or reads.
struct Mortal<T: ?Sized> {
    fuse: Arc<Fuse>,
    inner: Arc<T>,
}

#[async_trait]
impl TaskStore for Mortal<dyn TaskStore> {
    async fn fetch(&self, task_id: &TaskId) -> Result<Option<Task>, StoreError> {
        self.inner.fetch(task_id).await
    }

    async fn fetch_records(&self, ids: &[TaskId]) -> Result<Vec<TaskRecord>, StoreError> {
        self.fuse.burn().await;
        self.inner.fetch_records(ids).await
    }

    async fn save(
        &self,
        previous: Option<&Task>,
        next: &Task,
        ledger: Option<&Ledger>,
    ) -> Result<(), StoreError> {
        self.fuse.burn().await;
        let saved = self.inner.save(previous, next, ledger).await;
        self.fuse.burn().await;
        saved
    }

    async fn create(
        &self,
        task: &Task,
        receipt: &IdempotencyRecord,
    ) -> Result<Option<IdempotencyRecord>, StoreError> {
        self.inner.create(task, receipt).await
    }

    async fn delete(&self, previous: &Task, ledger: &Ledger) -> Result<(), StoreError> {
        self.inner.delete(previous, ledger).await
    }

    async fn save_deleted(&self, task_id: &TaskId, ledger: &Ledger) -> Result<(), StoreError> {
        self.fuse.burn().await;
        let saved = self.inner.save_deleted(task_id, ledger).await;
        self.fuse.burn().await;
        saved
    }

    async fn usual_duration_ms(&self, task: &Task) -> Result<Option<u64>, StoreError> {
        self.inner.usual_duration_ms(task).await
    }

    async fn list(
        &self,
        query: &TaskQuery,
        after: Option<&ListPosition>,
        limit: usize,
    ) -> Result<TaskPage, StoreError> {
        self.inner.list(query, after, limit).await
    }

    async fn history(
        &self,
        task_id: &TaskId,
        after: Option<Timestamp>,
        until: Option<Timestamp>,
        limit: usize,
    ) -> Result<Vec<HistoryEntry>, StoreError> {
        self.inner.history(task_id, after, until, limit).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.inner.ping().await
    }
}

#[async_trait]
impl CheckpointStore for Mortal<dyn CheckpointStore> {
    async fn load(&self, source: &str) -> Result<Option<Checkpoint>, StoreError> {
        self.fuse.burn().await;
        self.inner.load(source).await
    }

    async fn save(&self, source: &str, checkpoint: Checkpoint) -> Result<(), StoreError> {
        self.fuse.burn().await;
        let saved = self.inner.save(source, checkpoint).await;
        self.fuse.burn().await;
        saved
    }
}

#[async_trait]
impl LogSource for Mortal<dyn LogSource> {
    async fn fetch_page(&self, request: PageRequest<'_>) -> Result<LogPage, LogSourceError> {
        self.fuse.burn().await;
        self.inner.fetch_page(request).await
    }
}

fn filled(page_size: usize) -> Harness {
    let harness = Harness::new(page_size);
    harness.logs.put(CDK, events("deploy-7", &completed()));
    harness.logs.put(CDK, events("deploy-8", &rolled_back()));
    let reports = [
        r#"{"task_id":"review-7","status":"started","progress":{"current":1,"total":4}}"#,
        "[3/10] cloning",
        r#"{"task_id":"review-7","status":"completed","progress":{"current":4,"total":4}}"#,
    ];
    harness.logs.put(AGENTS, events("agent-1", &reports));
    harness
}

/// A collector that dies after `steps` steps.
fn mortal(harness: &Harness, steps: usize, takes: Duration) -> Collector {
    let steps = AtomicUsize::new(steps);
    let fuse = Arc::new(Fuse { steps, takes });
    let parts = harness.parts();
    let mortal = Parts {
        tasks: Arc::new(Mortal {
            fuse: fuse.clone(),
            inner: parts.tasks,
        }),
        checkpoints: Arc::new(Mortal {
            fuse: fuse.clone(),
            inner: parts.checkpoints,
        }),
        logs: Arc::new(Mortal {
            fuse,
            inner: parts.logs,
        }),
        projects: parts.projects,
        cache: parts.cache,
    };
    Collector::new(mortal, harness::config())
}

/// Sweeps until the fuse has burnt down `steps` steps, time is over, or the sweep is done.
async fn sweep_and_die(harness: &Harness, steps: usize, takes: Duration) {
    let collector = mortal(harness, steps, takes);
    let deadline = Instant::now() + Duration::from_secs(20);
    let sweep = collector.handle(&Sweep, now(), Some(deadline));
    // A fuse that has burnt down never wakes: all other parts answer at once.
    let died = timeout(Duration::from_secs(600), sweep).await;
    drop(died);
}

/// The run is long enough to save resume points, both on the way and at its deadline.
#[tokio::test(start_paused = true)]
async fn a_long_run_killed_at_any_step_is_repaired() {
    for (page_size, takes_ms) in [(1, 800), (1, 1_300), (2, 1_700), (3, 2_500)] {
        let undisturbed = filled(page_size);
        undisturbed.sweep().await;
        let expected = undisturbed.tasks().await;
        for steps in 0..70 {
            let harness = filled(page_size);
            sweep_and_die(&harness, steps, Duration::from_millis(takes_ms)).await;
            harness.sweep().await;
            assert_eq!(
                harness.tasks().await,
                expected,
                "{page_size} {takes_ms} {steps}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_that_one_run_can_not_save_is_saved_by_several_runs() {
    let line =
        |task: usize| format!(r#"{{"task_id":"t{task:04}","progress":{{"current":1,"total":4}}}}"#);
    let lines: Vec<String> = (0..4_000).map(line).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let harness = Harness::new(10_000);
    let at_once = events("agent-1", &lines).into_iter().map(|event| LogEvent {
        timestamp: Timestamp::from_millis(harness::START_MS),
        ..event
    });
    harness.logs.put(AGENTS, at_once);
    let mut runs = Vec::new();
    for _ in 0..4 {
        let deadline = Instant::now() + Duration::from_secs(10);
        let slow = mortal(&harness, usize::MAX, Duration::from_millis(10));
        let summary = slow.handle(&Sweep, now(), Some(deadline)).await;
        assert!(Instant::now() < deadline, "it ran late");
        runs.push(summary.unwrap().groups[1].complete);
        if runs.ends_with(&[true]) {
            break;
        }
    }
    assert!(runs.len() > 1 && runs.ends_with(&[true]), "{runs:?}");
    assert!(harness.task("t0000").await.is_some() && harness.task("t3999").await.is_some());
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_next_run_repairs_every_kill(
        deaths in proptest::collection::vec((0..80usize, 0..800u64), 1..5),
        page_size in 1..20usize,
    ) {
        let (disturbed, undisturbed) = (filled(page_size), filled(page_size));
        block_on(async {
            for (steps, takes_ms) in deaths {
                sweep_and_die(&disturbed, steps, Duration::from_millis(takes_ms)).await;
            }
            disturbed.sweep().await;
            undisturbed.sweep().await;
            prop_assert_eq!(disturbed.tasks().await, undisturbed.tasks().await);
            Ok(())
        })?;
    }
}
