//! A store of tasks and projects in memory.

mod lagging_lists;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use self::lagging_lists::LaggingLists;

use async_trait::async_trait;

use shared::batch::named_ids::NamedIds;
use shared::fold::FactLog;
use shared::log_tail::{TAIL_PARTS, TailPart};
use shared::model::{
    HistoryEntry, Metrics, MetricsDelta, Project, ProjectId, RecordId, Revision, RunId, Task,
    TaskId, TaskStatus, Timestamp,
};
use shared::record::{
    FactItems, FactsChange, Head, HeadChange, HeadState, TaskChange, TaskOrigin, TaskRecord,
};
use shared::store::{
    IDEMPOTENCY_RECORD_LIFETIME, IdempotencyRecord, MOST_LISTED_PROJECTS, ProjectStore, StoreError,
    TaskPage, TaskQuery, TaskStore, duration_estimate_after, duration_estimate_key,
};

/// A store that is lost when it is dropped.
///
/// It is both stores in one, because metrics are exact only if they change together with the tasks.
/// Nothing in it expires by itself: see [`InMemoryStore::expire`].
#[derive(Debug, Default)]
pub struct InMemoryStore {
    state: Mutex<State>,
}

/// The stored records.
#[derive(Debug, Default)]
struct State {
    tasks: HashMap<TaskId, StoredTask>,
    projects: BTreeMap<ProjectId, Project>,
    /// By project; `None`: all tasks. Counters exist even before their project is created.
    counters: HashMap<Option<ProjectId>, Counters>,
    /// The runs that were subtracted after they had expired.
    receipts: HashSet<(RecordId, Timestamp, Revision)>,
    idempotency_records: HashMap<String, IdempotencyRecord>,
    named_ids: HashMap<TaskOrigin, NamedIds>,
    tails: HashMap<(RunId, u32), TailPart>,
    /// By key, in milliseconds.
    usual_durations: HashMap<String, u64>,
    /// Without it, lists show the stored heads.
    lagging_lists: Option<LaggingLists>,
}

/// The stored items of a task.
#[derive(Debug, Default)]
struct StoredTask {
    newest: Option<Head>,
    earlier: BTreeMap<Timestamp, Head>,
    facts: FactLog,
    segment_bytes: usize,
    items: FactItems,
    history: BTreeMap<Timestamp, HistoryEntry>,
}

impl StoredTask {
    fn heads(&self) -> impl Iterator<Item = &Head> {
        self.newest.iter().chain(self.earlier.values())
    }

    fn live(&self) -> impl Iterator<Item = &Task> {
        self.heads().filter_map(Head::live)
    }

    /// The head that is stored under the same key as `task`.
    fn head_like(&self, task: &Task) -> Option<&Head> {
        match task.is_earlier {
            true => self.earlier.get(&task.run),
            false => self.newest.as_ref(),
        }
    }

    fn has_previous_of(&self, changed: &HeadChange, items: &FactItems) -> bool {
        let stored = self.head_like(&changed.next.task);
        let is_of_life = changed.next.task.is_earlier || self.items.life == items.life;
        match (stored, &changed.previous) {
            (None, None) => true,
            (Some(stored), Some(previous)) => {
                stored.task.revision == previous.task.revision && is_of_life
            }
            _ => false,
        }
    }

    fn put(&mut self, head: &Head) {
        let mut head = head.clone();
        if head.state != HeadState::Live {
            head.task = head.task.listed();
        }
        match head.task.is_earlier {
            true => drop(self.earlier.insert(head.task.run, head)),
            false => self.newest = Some(head),
        }
    }

    /// Adds the entries of all runs that changed. That of the later run is a millisecond later, if
    /// two have the same time.
    fn add_history(&mut self, change: &TaskChange) {
        let entries = change.history().into_iter();
        self.history
            .extend(entries.map(|entry| (entry.timestamp, entry)));
    }

    fn write(&mut self, change: &TaskChange) {
        for changed in &change.heads {
            self.put(&changed.next);
            let was_live = changed.previous.as_ref().and_then(Head::live);
            if let Some(deleted) = was_live
                && changed.next.state == HeadState::Deleted
            {
                self.history.retain(|_, entry| entry.run != deleted.run);
            }
        }
        self.add_history(change);
        let is_of_newest = |head: &HeadChange| !head.next.task.is_earlier;
        if change.heads.first().is_some_and(is_of_newest) {
            if self.items.life != change.items.life {
                (self.facts, self.segment_bytes) = (FactLog::default(), 0);
            }
            self.items = change.items;
        }
        match &change.facts {
            FactsChange::Keep => {}
            FactsChange::Append(new) => {
                self.facts.add(new.iter().cloned());
                let size = serde_json::to_vec(new).map_or(0, |json| json.len());
                self.segment_bytes += size;
            }
            FactsChange::Replace(facts) => {
                (self.facts, self.segment_bytes) = (facts.clone(), 0);
            }
        }
    }
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
    fn metrics(&self, project_id: Option<&ProjectId>) -> Metrics {
        let counters = self.counters.get(&project_id.cloned());
        counters.map(Counters::metrics).unwrap_or_default()
    }

    /// A project with its present metrics.
    fn measured(&self, project: &Project) -> Project {
        Project {
            metrics: self.metrics(Some(&project.project_id)),
            ..project.clone()
        }
    }

    fn save(&mut self, change: &TaskChange) -> Result<(), StoreError> {
        let task = self.tasks.entry(change.task_id.clone()).or_default();
        let is_current = |changed: &HeadChange| task.has_previous_of(changed, &change.items);
        if !change.heads.iter().all(is_current) {
            return Err(StoreError::Conflict(format!("task {}", change.task_id)));
        }
        task.write(change);
        if let Some(lists) = &mut self.lagging_lists {
            change.heads.iter().for_each(|head| lists.put(&head.next));
        }
        let mut heads: Vec<&HeadChange> = change.heads.iter().collect();
        heads.sort_by_key(|head| head.next.task.run);
        for head in heads {
            let Some(next) = head.next.live() else {
                continue;
            };
            if let Some(usual_ms) = duration_estimate_after(head.before.as_ref(), next) {
                let key = duration_estimate_key(next);
                self.usual_durations.insert(key, usual_ms);
            }
        }
        self.count(change.metrics());
        Ok(())
    }

    fn count(&mut self, deltas: Vec<MetricsDelta>) {
        for delta in deltas {
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

    /// An empty store whose lists show each write after a time of its own, of at most `max_lag` on
    /// Tokio's clock. They do not show that a head has expired.
    pub fn with_lagging_lists(max_lag: Duration) -> Self {
        let state = State {
            lagging_lists: Some(LaggingLists::new(max_lag)),
            ..State::default()
        };
        Self {
            state: Mutex::new(state),
        }
    }

    /// Removes the head of a run, as DynamoDB does when its time to live is over, and returns what
    /// the table's stream tells of it; `None` if it does not exist. The metrics still include it.
    pub fn expire(&self, id: &RecordId) -> Option<Task> {
        let mut state = self.lock();
        let task = state.tasks.get_mut(id.task_id())?;
        let head = match id {
            RecordId::Newest(_) => task.newest.take(),
            RecordId::Run(run_id) => task.earlier.remove(&run_id.run),
        };
        let head = head?;
        if !head.task.is_earlier {
            (task.facts, task.segment_bytes) = (FactLog::default(), 0);
        }
        head.live().cloned()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // All checks come before the changes, so that a panic leaves no half-made change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl TaskStore for InMemoryStore {
    async fn fetch(&self, id: &RecordId) -> Result<Option<Task>, StoreError> {
        let state = self.lock();
        let Some(task) = state.tasks.get(id.task_id()) else {
            return Ok(None);
        };
        let mut live = task.live();
        let found = match id {
            RecordId::Newest(_) => live.find(|task| !task.is_earlier),
            RecordId::Run(run_id) => live.find(|task| task.run == run_id.run),
        };
        Ok(found.cloned())
    }

    async fn fetch_records(&self, task_ids: &[TaskId]) -> Result<Vec<TaskRecord>, StoreError> {
        let state = self.lock();
        let mut task_ids = task_ids.to_vec();
        task_ids.sort_unstable();
        task_ids.dedup();
        let stored = task_ids.into_iter().filter_map(|task_id| {
            let stored = state.tasks.get(&task_id)?;
            let newest = stored.newest.clone()?;
            let open_since = stored.items.open_since;
            let earlier = open_since.map(|open_since| stored.earlier.range(open_since..));
            let earlier = earlier.into_iter().flatten().map(|(_, head)| head.clone());
            Some(TaskRecord {
                task_id,
                newest: Some(newest),
                earlier: earlier.collect(),
                facts: stored.facts.clone(),
                segment_bytes: stored.segment_bytes,
                items: stored.items,
            })
        });
        Ok(stored.collect())
    }

    async fn save(&self, change: &TaskChange) -> Result<(), StoreError> {
        self.lock().save(change)
    }

    async fn create(
        &self,
        change: &TaskChange,
        record: &IdempotencyRecord,
    ) -> Result<Option<IdempotencyRecord>, StoreError> {
        let mut state = self.lock();
        let held = state.idempotency_records.get(&record.key);
        let held =
            held.filter(|held| record.made_at < held.made_at.after(IDEMPOTENCY_RECORD_LIFETIME));
        if let Some(held) = held {
            return Ok(Some(held.clone()));
        }
        state.save(change)?;
        state
            .idempotency_records
            .insert(record.key.clone(), record.clone());
        Ok(None)
    }

    async fn named_ids(&self, origin: &TaskOrigin) -> Result<NamedIds, StoreError> {
        let state = self.lock();
        Ok(state.named_ids.get(origin).cloned().unwrap_or_default())
    }

    async fn save_named_ids(&self, origin: &TaskOrigin, ids: &NamedIds) -> Result<(), StoreError> {
        let mut state = self.lock();
        let stored = state.named_ids.get(origin);
        if stored.map_or(0, |stored| stored.revision) + 1 != ids.revision {
            return Err(StoreError::Conflict(format!("the ids of {origin:?}")));
        }
        state.named_ids.insert(origin.clone(), ids.clone());
        Ok(())
    }

    async fn save_tail(
        &self,
        run_id: &RunId,
        part: &TailPart,
        _kept_for: Duration,
    ) -> Result<(), StoreError> {
        let slot = (run_id.clone(), part.sequence % TAIL_PARTS);
        self.lock().tails.insert(slot, part.clone());
        Ok(())
    }

    async fn tail(&self, run_id: &RunId) -> Result<Vec<TailPart>, StoreError> {
        let state = self.lock();
        let parts = state.tails.iter().filter(|((of, _), _)| of == run_id);
        Ok(parts.map(|(_, part)| part.clone()).collect())
    }

    async fn subtract_expired(&self, expired: &Task) -> Result<(), StoreError> {
        let mut state = self.lock();
        let receipt = (expired.record_id(), expired.run, expired.revision);
        if state.receipts.insert(receipt) {
            state.count(MetricsDelta::between([expired], []));
        }
        Ok(())
    }

    async fn runs(
        &self,
        task_id: &TaskId,
        before: Option<Timestamp>,
        limit: usize,
    ) -> Result<Vec<Task>, StoreError> {
        let state = self.lock();
        let stored = state.tasks.get(task_id).into_iter();
        let runs = stored.flat_map(StoredTask::live);
        let runs = runs.filter(|task| before.is_none_or(|before| task.run < before));
        let mut runs: Vec<Task> = runs.map(Task::listed).collect();
        runs.sort_by_key(|task| std::cmp::Reverse(task.run));
        runs.truncate(limit);
        Ok(runs)
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
        after: Option<&RunId>,
        limit: usize,
    ) -> Result<TaskPage, StoreError> {
        let mut state = self.lock();
        let State {
            tasks,
            lagging_lists,
            ..
        } = &mut *state;
        let listed: Vec<&Task> = match lagging_lists {
            Some(lists) => lists.visible().collect(),
            None => tasks.values().flat_map(StoredTask::live).collect(),
        };
        let mut tasks: Vec<(RunId, &Task)> = listed
            .into_iter()
            .filter(|task| query.matches(task))
            .map(|task| (task.run_id(), task))
            .filter(|(run_id, _)| after.is_none_or(|after| run_id < after))
            .collect();
        tasks.sort_unstable_by(|(one, _), (other, _)| other.cmp(one));
        // Indexes may have a run twice while it becomes an earlier one.
        tasks.dedup_by(|(one, _), (other, _)| one == other);
        let has_more = tasks.len() > limit;
        let tasks = tasks.into_iter().take(limit);
        let tasks: Vec<Task> = tasks.map(|(_, task)| task.listed()).collect();
        let next = tasks.last().filter(|_| has_more).map(Task::run_id);
        Ok(TaskPage { tasks, next })
    }

    async fn history(
        &self,
        run_id: &RunId,
        after: Option<Timestamp>,
        until: Option<Timestamp>,
        limit: usize,
    ) -> Result<Vec<HistoryEntry>, StoreError> {
        let state = self.lock();
        let stored = state.tasks.get(&run_id.task_id).into_iter();
        let entries = stored.flat_map(|stored| stored.history.iter());
        Ok(entries
            .map(|(_, entry)| entry)
            .filter(|entry| entry.run == run_id.run)
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
        let projects = state.projects.values().take(MOST_LISTED_PROJECTS);
        Ok(projects.map(|project| state.measured(project)).collect())
    }

    async fn list_without_metrics(&self) -> Result<Vec<Project>, StoreError> {
        let mut projects = ProjectStore::list(self).await?;
        for project in &mut projects {
            project.metrics = Metrics::default();
        }
        Ok(projects)
    }

    async fn totals(&self) -> Result<Metrics, StoreError> {
        Ok(self.lock().metrics(None))
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
