//! A store of tasks and projects in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use shared::fold::Ledger;
use shared::model::{
    HistoryEntry, Metrics, MetricsDelta, Project, ProjectId, Task, TaskId, TaskStatus, Timestamp,
};
use shared::store::{
    IDEMPOTENCY_RECORD_LIFETIME, IdempotencyRecord, ListPosition, ProjectStore, StoreError,
    TaskPage, TaskQuery, TaskRecord, TaskStore, duration_estimate_after, duration_estimate_key,
};

/// A store that is lost when it is dropped.
///
/// It is both stores in one, because metrics are exact only if they change together with the tasks.
#[derive(Debug, Default)]
pub struct InMemoryStore {
    state: Mutex<State>,
}

/// The stored records.
#[derive(Debug, Default)]
struct State {
    tasks: HashMap<TaskId, StoredTask>,
    projects: BTreeMap<ProjectId, Project>,
    /// Counters exist even before their project is created.
    counters: HashMap<ProjectId, Counters>,
    idempotency_records: HashMap<String, IdempotencyRecord>,
    /// By pace key, in milliseconds.
    usual_durations: HashMap<String, u64>,
}

#[derive(Debug)]
struct StoredTask {
    /// `None` after a deletion.
    task: Option<Task>,
    ledger: Ledger,
    history: BTreeMap<Timestamp, HistoryEntry>,
}

#[derive(Debug, Default)]
struct Counters {
    tasks: HashMap<TaskStatus, i64>,
    duration_sum_ms: i64,
}

impl Counters {
    fn add(&mut self, delta: &MetricsDelta) {
        for (status, count) in &delta.counts {
            let counted = self.tasks.entry(*status).or_default();
            *counted = counted.saturating_add(*count);
        }
        self.duration_sum_ms = self.duration_sum_ms.saturating_add(delta.duration_sum_ms);
    }

    fn metrics(&self) -> Metrics {
        let count = |status| self.tasks.get(&status).copied().unwrap_or(0);
        Metrics::from_counts(count, self.duration_sum_ms)
    }
}

impl State {
    /// A project with its present metrics.
    fn measured(&self, project: &Project) -> Project {
        let counters = self.counters.get(&project.project_id);
        Project {
            metrics: counters.map(Counters::metrics).unwrap_or_default(),
            ..project.clone()
        }
    }
}

impl State {
    fn save(
        &mut self,
        previous: Option<&Task>,
        next: &Task,
        ledger: Option<&Ledger>,
    ) -> Result<(), StoreError> {
        self.check(&next.task_id, previous)?;
        if let (None, Some(ledger)) = (previous, ledger) {
            self.check_deletion(&next.task_id, ledger)?;
        }
        let entry = HistoryEntry::of_change(previous, next);
        let entry = entry.map(|entry| (entry.timestamp, entry));
        let ledger = ledger.cloned();
        match self.tasks.get_mut(&next.task_id) {
            Some(stored) if previous.is_some() => {
                stored.task = Some(next.clone());
                stored.history.extend(entry);
                stored.ledger = ledger.unwrap_or_else(|| stored.ledger.clone());
            }
            _ => {
                let stored = StoredTask {
                    task: Some(next.clone()),
                    ledger: ledger.unwrap_or_default(),
                    history: entry.into_iter().collect(),
                };
                self.tasks.insert(next.task_id.clone(), stored);
            }
        }
        if let Some(usual_ms) = duration_estimate_after(previous, next) {
            self.usual_durations
                .insert(duration_estimate_key(next), usual_ms);
        }
        self.count(previous, Some(next));
        Ok(())
    }

    /// A conflict unless the stored task is `previous`.
    fn check(&self, task_id: &TaskId, previous: Option<&Task>) -> Result<(), StoreError> {
        let stored = self.tasks.get(task_id);
        let stored = stored.and_then(|stored| stored.task.as_ref());
        let revision = |task: &Task| task.revision;
        if stored.map(revision) == previous.map(revision) {
            Ok(())
        } else {
            Err(StoreError::Conflict(format!("task {task_id}")))
        }
    }

    /// A conflict unless `ledger` has the last deletion of the task, if there was one.
    fn check_deletion(&self, task_id: &TaskId, ledger: &Ledger) -> Result<(), StoreError> {
        match self.tasks.get(task_id) {
            Some(left) if left.ledger.deleted_revision() != ledger.deleted_revision() => {
                Err(StoreError::Conflict(format!("task {task_id}")))
            }
            _ => Ok(()),
        }
    }

    fn count(&mut self, previous: Option<&Task>, next: Option<&Task>) {
        for delta in MetricsDelta::of_change(previous, next) {
            let counters = self.counters.entry(delta.project_id.clone()).or_default();
            counters.add(&delta);
        }
    }
}

impl InMemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // All checks come before the changes, so that a panic leaves no half-made change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl TaskStore for InMemoryStore {
    async fn fetch(&self, task_id: &TaskId) -> Result<Option<Task>, StoreError> {
        let state = self.lock();
        let stored = state.tasks.get(task_id);
        Ok(stored.and_then(|stored| stored.task.clone()))
    }

    async fn fetch_records(&self, task_ids: &[TaskId]) -> Result<Vec<TaskRecord>, StoreError> {
        let state = self.lock();
        let mut task_ids = task_ids.to_vec();
        task_ids.sort_unstable();
        task_ids.dedup();
        let stored = task_ids.into_iter().filter_map(|task_id| {
            let stored = state.tasks.get(&task_id)?;
            Some(TaskRecord {
                task_id,
                task: stored.task.clone(),
                ledger: stored.ledger.clone(),
            })
        });
        Ok(stored.collect())
    }

    async fn save(
        &self,
        previous: Option<&Task>,
        next: &Task,
        ledger: Option<&Ledger>,
    ) -> Result<(), StoreError> {
        self.lock().save(previous, next, ledger)
    }

    async fn create(
        &self,
        task: &Task,
        receipt: &IdempotencyRecord,
    ) -> Result<Option<IdempotencyRecord>, StoreError> {
        let mut state = self.lock();
        let held = state.idempotency_records.get(&receipt.key);
        let held =
            held.filter(|held| receipt.made_at < held.made_at.after(IDEMPOTENCY_RECORD_LIFETIME));
        if let Some(held) = held {
            return Ok(Some(held.clone()));
        }
        state.save(None, task, None)?;
        state
            .idempotency_records
            .insert(receipt.key.clone(), receipt.clone());
        Ok(None)
    }

    async fn delete(&self, previous: &Task, ledger: &Ledger) -> Result<(), StoreError> {
        let mut state = self.lock();
        state.check(&previous.task_id, Some(previous))?;
        let left = StoredTask {
            task: None,
            ledger: ledger.clone(),
            history: BTreeMap::new(),
        };
        state.tasks.insert(previous.task_id.clone(), left);
        state.count(Some(previous), None);
        Ok(())
    }

    async fn save_deleted(&self, task_id: &TaskId, ledger: &Ledger) -> Result<(), StoreError> {
        let mut state = self.lock();
        state.check(task_id, None)?;
        state.check_deletion(task_id, ledger)?;
        let left = state.tasks.get_mut(task_id);
        let left = left.ok_or_else(|| StoreError::Conflict(format!("task {task_id}")))?;
        left.ledger = ledger.clone();
        left.ledger.count_deletion();
        Ok(())
    }

    async fn usual_duration_ms(&self, task: &Task) -> Result<Option<u64>, StoreError> {
        Ok(self
            .lock()
            .usual_durations
            .get(&duration_estimate_key(task))
            .copied())
    }

    async fn list(
        &self,
        query: &TaskQuery,
        after: Option<&ListPosition>,
        limit: usize,
    ) -> Result<TaskPage, StoreError> {
        let state = self.lock();
        let tasks = state.tasks.values();
        let tasks = tasks.filter_map(|stored| stored.task.as_ref());
        let mut tasks: Vec<(ListPosition, &Task)> = tasks
            .filter(|task| query.matches(task))
            .map(|task| (ListPosition::of(task), task))
            .filter(|(position, _)| after.is_none_or(|after| position < after))
            .collect();
        tasks.sort_unstable_by(|(one, _), (other, _)| other.cmp(one));
        let has_more = tasks.len() > limit;
        let tasks = tasks.into_iter().take(limit);
        let tasks: Vec<Task> = tasks.map(|(_, task)| task.clone()).collect();
        let next = tasks.last().filter(|_| has_more).map(ListPosition::of);
        Ok(TaskPage { tasks, next })
    }

    async fn history(
        &self,
        task_id: &TaskId,
        after: Option<Timestamp>,
        until: Option<Timestamp>,
        limit: usize,
    ) -> Result<Vec<HistoryEntry>, StoreError> {
        let state = self.lock();
        let Some(stored) = state.tasks.get(task_id) else {
            return Ok(Vec::new());
        };
        let entries = stored.history.values();
        Ok(entries
            .filter(|entry| after.is_none_or(|after| after < entry.timestamp))
            .filter(|entry| until.is_none_or(|until| entry.timestamp <= until))
            .take(limit)
            .cloned()
            .collect())
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait]
impl ProjectStore for InMemoryStore {
    async fn fetch(&self, project_id: &ProjectId) -> Result<Option<Project>, StoreError> {
        let state = self.lock();
        let project = state.projects.get(project_id);
        Ok(project.map(|project| state.measured(project)))
    }

    async fn create(&self, project: &Project) -> Result<(), StoreError> {
        let mut state = self.lock();
        let project_id = &project.project_id;
        if state.projects.contains_key(project_id) {
            return Err(StoreError::Conflict(format!("project {project_id}")));
        }
        state.projects.insert(project_id.clone(), project.clone());
        Ok(())
    }

    async fn update(&self, previous: &Project, next: &Project) -> Result<(), StoreError> {
        let mut state = self.lock();
        let project_id = &next.project_id;
        match state.projects.get_mut(project_id) {
            Some(stored) if stored.revision == previous.revision => {
                *stored = next.clone();
                Ok(())
            }
            _ => Err(StoreError::Conflict(format!("project {project_id}"))),
        }
    }

    async fn list(&self) -> Result<Vec<Project>, StoreError> {
        let state = self.lock();
        let projects = state.projects.values();
        Ok(projects.map(|project| state.measured(project)).collect())
    }
}
