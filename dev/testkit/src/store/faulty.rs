//! A store that fails on demand, around one that works.

use async_trait::async_trait;

use crate::faults::Faults;
use shared::checkpoint::{Checkpoint, CheckpointStore};
use shared::error::Source;
use shared::fold::Ledger;
use shared::model::{HistoryEntry, Project, ProjectId, Task, TaskId, Timestamp};
use shared::store::{
    IdempotencyRecord, ListPosition, ProjectStore, StoreError, TaskPage, TaskQuery, TaskRecord,
    TaskStore,
};

/// A store whose calls fail as its [`Faults`] say, with [`StoreError::Unavailable`].
///
/// It is whatever store is inside: of tasks, of projects, of checkpoints.
#[derive(Debug)]
pub struct FaultyTaskStore<S> {
    inner: S,
    faults: Faults,
}

impl<S> FaultyTaskStore<S> {
    /// `inner`, with what may be asked of `faults`.
    pub fn new(inner: S, faults: Faults) -> Self {
        Self { inner, faults }
    }

    /// The store inside, which does not fail.
    pub fn inner(&self) -> &S {
        &self.inner
    }
}

fn unavailable(source: Source) -> StoreError {
    StoreError::Unavailable {
        operation: "a faulty call",
        source,
    }
}

#[async_trait]
impl<S: TaskStore> TaskStore for FaultyTaskStore<S> {
    async fn fetch(&self, task_id: &TaskId) -> Result<Option<Task>, StoreError> {
        let call = self.inner.fetch(task_id);
        self.faults.around(call, unavailable).await
    }

    async fn fetch_records(&self, task_ids: &[TaskId]) -> Result<Vec<TaskRecord>, StoreError> {
        let call = self.inner.fetch_records(task_ids);
        self.faults.around(call, unavailable).await
    }

    async fn save(
        &self,
        previous: Option<&Task>,
        next: &Task,
        ledger: Option<&Ledger>,
    ) -> Result<(), StoreError> {
        let call = self.inner.save(previous, next, ledger);
        self.faults.around(call, unavailable).await
    }

    async fn create(
        &self,
        task: &Task,
        receipt: &IdempotencyRecord,
    ) -> Result<Option<IdempotencyRecord>, StoreError> {
        let call = self.inner.create(task, receipt);
        self.faults.around(call, unavailable).await
    }

    async fn delete(&self, previous: &Task, ledger: &Ledger) -> Result<(), StoreError> {
        let call = self.inner.delete(previous, ledger);
        self.faults.around(call, unavailable).await
    }

    async fn save_deleted(&self, task_id: &TaskId, ledger: &Ledger) -> Result<(), StoreError> {
        let call = self.inner.save_deleted(task_id, ledger);
        self.faults.around(call, unavailable).await
    }

    async fn usual_duration_ms(&self, task: &Task) -> Result<Option<u64>, StoreError> {
        let call = self.inner.usual_duration_ms(task);
        self.faults.around(call, unavailable).await
    }

    async fn list(
        &self,
        query: &TaskQuery,
        after: Option<&ListPosition>,
        limit: usize,
    ) -> Result<TaskPage, StoreError> {
        let call = self.inner.list(query, after, limit);
        self.faults.around(call, unavailable).await
    }

    async fn history(
        &self,
        task_id: &TaskId,
        after: Option<Timestamp>,
        until: Option<Timestamp>,
        limit: usize,
    ) -> Result<Vec<HistoryEntry>, StoreError> {
        let call = self.inner.history(task_id, after, until, limit);
        self.faults.around(call, unavailable).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.faults.around(self.inner.ping(), unavailable).await
    }
}

#[async_trait]
impl<S: ProjectStore> ProjectStore for FaultyTaskStore<S> {
    async fn fetch(&self, project_id: &ProjectId) -> Result<Option<Project>, StoreError> {
        let call = self.inner.fetch(project_id);
        self.faults.around(call, unavailable).await
    }

    async fn create(&self, project: &Project) -> Result<(), StoreError> {
        let call = self.inner.create(project);
        self.faults.around(call, unavailable).await
    }

    async fn update(&self, previous: &Project, next: &Project) -> Result<(), StoreError> {
        let call = self.inner.update(previous, next);
        self.faults.around(call, unavailable).await
    }

    async fn list(&self) -> Result<Vec<Project>, StoreError> {
        self.faults.around(self.inner.list(), unavailable).await
    }
}

#[async_trait]
impl<S: CheckpointStore> CheckpointStore for FaultyTaskStore<S> {
    async fn load(&self, source: &str) -> Result<Option<Checkpoint>, StoreError> {
        let call = self.inner.load(source);
        self.faults.around(call, unavailable).await
    }

    async fn save(&self, source: &str, checkpoint: Checkpoint) -> Result<(), StoreError> {
        let call = self.inner.save(source, checkpoint);
        self.faults.around(call, unavailable).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::faults::{Disturbance, Fault};
    use crate::store::conformance::new_task;
    use crate::store::memory::InMemoryStore;

    #[tokio::test]
    async fn calls_fail_as_asked_before_or_after_their_work() {
        let faults = Faults::none();
        let store = FaultyTaskStore::new(InMemoryStore::new(), faults.clone());
        let (first, second) = (new_task("first"), new_task("second"));
        faults.fail_call(1, Fault::Unmade);
        faults.fail_call(3, Fault::AnswerLost);
        let save = async |task| TaskStore::save(&store, None, task, None).await;
        assert!(save(&first).await.is_err());
        assert!(save(&first).await.is_ok(), "it was not made before");
        assert!(save(&second).await.is_err());
        let conflict = save(&second).await;
        assert!(matches!(conflict, Err(StoreError::Conflict(_))));
        faults.fail_always(Fault::Unmade);
        assert!(store.ping().await.is_err());
        assert!(store.inner().ping().await.is_ok());
        faults.clear();
        assert!(store.ping().await.is_ok());
        assert_eq!(faults.calls(), 6);
    }

    #[tokio::test(start_paused = true)]
    async fn a_rule_says_what_happens_to_each_call() {
        let faults = Faults::none();
        let store = FaultyTaskStore::new(InMemoryStore::new(), faults.clone());
        let mut calls = 0;
        faults.disturb(move || {
            calls += 1;
            Disturbance {
                before: Duration::from_millis(10),
                fault: (calls % 2 == 0).then_some(Fault::Unmade),
                after: Duration::from_millis(5),
            }
        });
        let started = tokio::time::Instant::now();
        let answers = [store.ping().await, store.ping().await, store.ping().await];
        let answers = answers.map(|answer| answer.is_ok());
        assert_eq!(answers, [true, false, true]);
        assert_eq!(started.elapsed(), Duration::from_millis(40));
        faults.clear();
        assert!(store.ping().await.is_ok() && store.ping().await.is_ok());
    }
}
