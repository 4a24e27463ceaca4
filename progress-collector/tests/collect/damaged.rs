//! Tasks that can never be read or saved. Other tasks are saved all the same.

use std::sync::Arc;

use async_trait::async_trait;
use progress_collector::{Collector, Parts, Sweep};
use shared::fold::Ledger;
use shared::model::{HistoryEntry, Task, TaskId, Timestamp};
use shared::store::{
    IdempotencyRecord, ListPosition, StoreError, TaskPage, TaskQuery, TaskRecord, TaskStore,
};

use crate::harness::{CDK, Harness, RUNNING, config, events, now};

const REFUSED: &str = "cdk:refused";
const DAMAGED: &str = "cdk:damaged";

/// A store that refuses one task, and holds another that can't be read.
struct DamagedStore(Arc<dyn TaskStore>);

#[async_trait]
impl TaskStore for DamagedStore {
    async fn fetch(&self, task_id: &TaskId) -> Result<Option<Task>, StoreError> {
        self.0.fetch(task_id).await
    }

    async fn fetch_records(&self, ids: &[TaskId]) -> Result<Vec<TaskRecord>, StoreError> {
        if ids.iter().any(|id| id.as_str() == DAMAGED) {
            let (id, source) = (DAMAGED.to_owned(), "it is damaged".into());
            return Err(StoreError::Corrupt { id, source });
        }
        self.0.fetch_records(ids).await
    }

    async fn save(
        &self,
        previous: Option<&Task>,
        next: &Task,
        ledger: Option<&Ledger>,
    ) -> Result<(), StoreError> {
        if next.task_id.as_str() == REFUSED {
            let source = "it is too large".into();
            let operation = "saving a task";
            return Err(StoreError::Refused { operation, source });
        }
        self.0.save(previous, next, ledger).await
    }

    async fn create(
        &self,
        task: &Task,
        receipt: &IdempotencyRecord,
    ) -> Result<Option<IdempotencyRecord>, StoreError> {
        self.0.create(task, receipt).await
    }

    async fn delete(&self, previous: &Task, ledger: &Ledger) -> Result<(), StoreError> {
        self.0.delete(previous, ledger).await
    }

    async fn save_deleted(&self, task_id: &TaskId, ledger: &Ledger) -> Result<(), StoreError> {
        self.0.save_deleted(task_id, ledger).await
    }

    async fn usual_duration_ms(&self, task: &Task) -> Result<Option<u64>, StoreError> {
        self.0.usual_duration_ms(task).await
    }

    async fn list(
        &self,
        query: &TaskQuery,
        after: Option<&ListPosition>,
        limit: usize,
    ) -> Result<TaskPage, StoreError> {
        self.0.list(query, after, limit).await
    }

    async fn history(
        &self,
        task_id: &TaskId,
        after: Option<Timestamp>,
        until: Option<Timestamp>,
        limit: usize,
    ) -> Result<Vec<HistoryEntry>, StoreError> {
        self.0.history(task_id, after, until, limit).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.0.ping().await
    }
}

#[tokio::test]
async fn a_damaged_task_does_not_stop_its_log_group() {
    let harness = Harness::new(100);
    for stream in ["a", "damaged", "refused", "z"] {
        harness.logs.put(CDK, events(stream, &RUNNING));
    }
    let parts = harness.parts();
    let damaged = Parts {
        tasks: Arc::new(DamagedStore(parts.tasks.clone())),
        ..parts
    };
    let collector = Collector::new(damaged, config());
    let summary = collector.handle(&Sweep, now(), None).await.unwrap();
    let group = &summary.groups[0];
    assert_eq!((group.tasks_changed, group.tasks_refused), (2, 2));
    assert_eq!((group.complete, group.checkpoint), (true, Some(now())));
    for saved in ["cdk:a", "cdk:z"] {
        assert!(harness.task(saved).await.is_some(), "{saved}");
    }
}
