//! A collector that dies between any two of its steps: after the next run all is as if it had never died.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use progress_collector::{Collector, Parts, Trigger};
use proptest::prelude::*;
use shared::checkpoint::{Checkpoint, CheckpointStore};
use shared::fold::Ledger;
use shared::log_source::{LogPage, LogSource, LogSourceError, PageRequest};
use shared::model::{HistoryEntry, Task, TaskId, Timestamp};
use shared::store::{ListPosition, StoreError, TaskQuery, TaskRecord, TaskStore};

use crate::races::{block_on, config};
use crate::world::{self, AGENTS, CDK, World, completed, events, now, rolled_back};

/// Lets a number of steps pass, then never answers again: what a killed process looks like from outside.
struct Fuse(AtomicUsize);

impl Fuse {
    async fn burn(&self) {
        let left = self
            .0
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

    async fn list(
        &self,
        query: &TaskQuery,
        after: Option<&ListPosition>,
        limit: usize,
    ) -> Result<Vec<Task>, StoreError> {
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

fn filled(page_size: usize) -> World {
    let world = World::new(page_size);
    world.logs.put(CDK, events("deploy-7", &completed()));
    world.logs.put(CDK, events("deploy-8", &rolled_back()));
    let said = [
        r#"{"task_id":"review-7","status":"started","progress":{"current":1,"total":4}}"#,
        "[3/10] cloning",
        r#"{"task_id":"review-7","status":"completed","progress":{"current":4,"total":4}}"#,
    ];
    world.logs.put(AGENTS, events("agent-1", &said));
    world
}

/// Sweeps until the fuse has burnt down `steps` steps or the sweep is done.
async fn sweep_and_die(world: &World, steps: usize) {
    let fuse = Arc::new(Fuse(AtomicUsize::new(steps)));
    let parts = world.parts();
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
    let collector = Collector::new(mortal, world::config());
    let sweep = collector.handle(Trigger::Sweep, now(), None);
    // A fuse that has burnt down never wakes: all other parts answer at once.
    let died = tokio::time::timeout(std::time::Duration::from_secs(60), sweep).await;
    drop(died);
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn after_the_next_run_it_is_as_if_it_had_never_died(
        deaths in proptest::collection::vec(0..40usize, 1..4),
        page_size in 1..20usize,
    ) {
        let (disturbed, undisturbed) = (filled(page_size), filled(page_size));
        block_on(async {
            for steps in deaths {
                sweep_and_die(&disturbed, steps).await;
            }
            disturbed.sweep().await;
            undisturbed.sweep().await;
            prop_assert_eq!(disturbed.tasks().await, undisturbed.tasks().await);
            Ok(())
        })?;
    }
}
