//! Tasks and projects in memory: a store that really works, for tests.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{ListPosition, ProjectStore, StoreError, TaskPage, TaskQuery, TaskRecord, TaskStore};
use crate::fold::Ledger;
use crate::model::{
    HistoryEntry, Metrics, MetricsDelta, Project, ProjectId, Revision, Task, TaskId, TaskStatus,
    Timestamp,
};

/// A store that forgets everything when it is dropped, and nothing before that.
///
/// It is both stores in one, as metrics are only exact if they change together with the tasks.
#[derive(Debug, Default)]
pub struct InMemoryStore {
    state: Mutex<State>,
}

/// All that is stored.
#[derive(Debug, Default)]
struct State {
    tasks: HashMap<TaskId, StoredTask>,
    projects: BTreeMap<ProjectId, Project>,
    /// Counted whether or not the project was made already.
    counters: HashMap<ProjectId, Counters>,
}

#[derive(Debug)]
struct StoredTask {
    task: Task,
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
    /// A project as it was made, with its present metrics.
    fn measured(&self, project: &Project) -> Project {
        let counters = self.counters.get(&project.project_id);
        Project {
            metrics: counters.map(Counters::metrics).unwrap_or_default(),
            ..project.clone()
        }
    }
}

impl InMemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is made after all that can fail: what a panicking test leaves behind is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl TaskStore for InMemoryStore {
    async fn fetch(&self, task_id: &TaskId) -> Result<Option<Task>, StoreError> {
        let state = self.lock();
        Ok(state.tasks.get(task_id).map(|stored| stored.task.clone()))
    }

    async fn fetch_records(&self, task_ids: &[TaskId]) -> Result<Vec<TaskRecord>, StoreError> {
        let state = self.lock();
        let mut task_ids = task_ids.to_vec();
        task_ids.sort_unstable();
        task_ids.dedup();
        let stored = task_ids.iter().filter_map(|id| state.tasks.get(id));
        Ok(stored
            .map(|stored| TaskRecord {
                task: stored.task.clone(),
                ledger: stored.ledger.clone(),
            })
            .collect())
    }

    async fn save(
        &self,
        previous: Option<&Task>,
        next: &Task,
        ledger: Option<&Ledger>,
    ) -> Result<(), StoreError> {
        let mut state = self.lock();
        let stored = state.tasks.get_mut(&next.task_id);
        let revision = |task: &Task| task.revision;
        let held: Option<Revision> = stored.as_ref().map(|stored| stored.task.revision);
        if held != previous.map(revision) {
            return Err(StoreError::Conflict(format!("task {}", next.task_id)));
        }
        let entry = HistoryEntry::of_change(previous, next);
        let entry = entry.map(|entry| (entry.timestamp, entry));
        match stored {
            Some(stored) => {
                stored.task = next.clone();
                stored.history.extend(entry);
                if let Some(ledger) = ledger {
                    stored.ledger = ledger.clone();
                }
            }
            None => {
                let stored = StoredTask {
                    task: next.clone(),
                    ledger: ledger.cloned().unwrap_or_default(),
                    history: entry.into_iter().collect(),
                };
                state.tasks.insert(next.task_id.clone(), stored);
            }
        }
        for delta in MetricsDelta::of_change(previous, Some(next)) {
            let counters = state.counters.entry(delta.project_id.clone()).or_default();
            counters.add(&delta);
        }
        Ok(())
    }

    async fn list(
        &self,
        query: &TaskQuery,
        after: Option<&ListPosition>,
        limit: usize,
    ) -> Result<TaskPage, StoreError> {
        let state = self.lock();
        let tasks = state.tasks.values().map(|stored| &stored.task);
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

    async fn list(&self) -> Result<Vec<Project>, StoreError> {
        let state = self.lock();
        let projects = state.projects.values();
        Ok(projects.map(|project| state.measured(project)).collect())
    }
}
