//! Tasks and changes for tests.

use std::collections::BTreeMap;

use shared::batch::Batch;
use shared::fold::{CallerEdit, KeyedFact};
use shared::log_event::LogEvent;
use shared::log_parser::LogFormat;
use shared::model::{Metrics, ProjectStatus, RunId, Timestamp};
use shared::model::{Progress, Project, ProjectId, Revision, Task, TaskId, TaskStatus, TaskType};
use shared::record::{
    CallerFields, FactItems, FactsChange, Head, HeadChange, HeadState, Outcome, TaskChange,
    TaskOrigin, TaskRecord,
};
use shared::store::{StoreError, TaskStore};

/// A time, `ms` milliseconds after a fixed one.
pub fn moment(ms: i64) -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000 + ms)
}

/// A new task: pending, created at [`moment`] 0, without optional fields.
pub fn new_task(id: &str) -> Task {
    Task {
        task_id: id.parse().unwrap(),
        task_name: format!("Task {id}"),
        task_type: TaskType::CdkDeploy,
        status: TaskStatus::Pending,
        priority: None,
        progress: Progress::default(),
        parts: BTreeMap::new(),
        agent: None,
        context: None,
        run: moment(0),
        is_earlier: false,
        corrections: 0,
        is_assumed: false,
        revision: Revision(1),
        project_id: None,
        message: None,
        failure: None,
        phase: None,
        current_step: None,
        log_group: None,
        log_stream: None,
        created_at: moment(0),
        started_at: None,
        updated_at: moment(0),
        completed_at: None,
        duration_ms: None,
        usual_duration_ms: None,
        metadata: None,
    }
}

/// The next revision of `task`, a second later, with a change.
pub fn next_of(task: &Task, change: impl FnOnce(&mut Task)) -> Task {
    let mut next = task.clone();
    next.revision = task.revision.next();
    next.updated_at = Timestamp::from_millis(task.updated_at.as_millis() + 1000);
    change(&mut next);
    next
}

/// A new project.
pub fn new_project(id: &str) -> Project {
    Project {
        project_id: project_id(id),
        project_name: format!("Project {id}"),
        description: None,
        status: ProjectStatus::Active,
        owner: None,
        match_prefixes: Vec::new(),
        revision: Revision(1),
        metrics: Metrics::default(),
        created_at: moment(0),
        updated_at: moment(0),
    }
}

pub(super) fn project_id(id: &str) -> ProjectId {
    id.parse().unwrap()
}

/// A run that exists.
pub fn live(task: &Task) -> Head {
    Head {
        task: task.clone(),
        state: HeadState::Live,
    }
}

/// The change that writes `next` over `previous`, whatever they are, without facts.
pub fn change_of(previous: Option<&Task>, next: &Task) -> TaskChange {
    change_to(previous, live(next))
}

/// The change that deletes `previous`, without facts.
pub fn deletion_of(previous: &Task) -> TaskChange {
    let task = next_of(previous, |task| task.updated_at = previous.updated_at);
    let state = HeadState::Deleted;
    change_to(Some(previous), Head { task, state })
}

fn change_to(previous: Option<&Task>, next: Head) -> TaskChange {
    let task = &next.task;
    let has_detail = next.live().is_some_and(Task::has_detail);
    TaskChange {
        task_id: task.task_id.clone(),
        facts: FactsChange::Keep,
        items: FactItems {
            life: 1,
            detail_revision: has_detail.then_some(task.revision),
            ..FactItems::default()
        },
        heads: vec![HeadChange {
            previous: previous.map(live),
            before: previous.cloned(),
            session: None,
            next,
        }],
    }
}

/// Saves [`change_of`].
pub async fn save(
    tasks: &dyn TaskStore,
    previous: Option<&Task>,
    next: &Task,
) -> Result<(), StoreError> {
    tasks.save(&change_of(previous, next)).await
}

/// Reads the record of a task; a new one if nothing is stored.
pub async fn record_of(tasks: &dyn TaskStore, task_id: &TaskId) -> TaskRecord {
    let records = tasks.fetch_records(std::slice::from_ref(task_id));
    let record = records.await.unwrap().pop();
    record.unwrap_or_else(|| TaskRecord::new(task_id.clone()))
}

/// An edit of the status alone.
pub fn to_status(status: TaskStatus) -> CallerEdit {
    CallerEdit {
        status: Some(status),
        ..CallerEdit::default()
    }
}

/// What a caller says of the project alone.
pub fn in_project(project_id: Option<&str>) -> CallerFields {
    CallerFields {
        priority: None,
        project_id: project_id.map(self::project_id),
        metadata: None,
    }
}

/// Creates a run by a caller, and returns it.
pub async fn create(
    tasks: &dyn TaskStore,
    id: &str,
    project_id: Option<&str>,
    now: Timestamp,
) -> Task {
    let record = record_of(tasks, &id.parse().unwrap()).await;
    let edit = to_status(TaskStatus::Running);
    let change = record.create(TaskType::Build, edit, &in_project(project_id), now);
    tasks.save(&change).await.unwrap();
    change.newest().unwrap().clone()
}

/// Changes the newest run by a caller, and returns it.
pub async fn edit(tasks: &dyn TaskStore, task: &Task, edit: CallerEdit, now: Timestamp) -> Task {
    let record = record_of(tasks, &task.task_id).await;
    let edit = edit.of_task(record.live().unwrap()).unwrap();
    let change = record.edit(edit, &CallerFields::of(task), now);
    tasks.save(&change).await.unwrap();
    change.newest().unwrap().clone()
}

/// Deletes the newest run by a caller.
pub async fn delete(tasks: &dyn TaskStore, task: &Task, now: Timestamp) {
    let record = record_of(tasks, &task.task_id).await;
    tasks.save(&record.delete(now).unwrap()).await.unwrap();
}

/// The source of [`lines`].
pub fn origin() -> TaskOrigin {
    TaskOrigin {
        format: LogFormat::AGENT,
        log_group: "/agents".to_owned(),
        log_stream: "main".to_owned(),
    }
}

/// The facts in log lines of an agent, each with its time.
pub fn lines(lines: &[(Timestamp, &str)]) -> Vec<KeyedFact> {
    let origin = origin();
    let mut batch = Batch::default();
    for (time, line) in lines {
        let event = LogEvent {
            log_stream: origin.log_stream.clone(),
            timestamp: *time,
            ingested_at: *time,
            event_id: time.as_millis().to_string(),
            message: (*line).to_owned(),
        };
        batch.add(origin.format, &origin.log_group, &event);
    }
    batch.take().into_values().flatten().collect()
}

/// Saves log lines, and returns the newest run.
pub async fn save_lines(
    tasks: &dyn TaskStore,
    id: &str,
    facts: Vec<KeyedFact>,
    now: Timestamp,
) -> Option<Task> {
    let task_id: TaskId = id.parse().unwrap();
    let mut facts = facts;
    loop {
        let record = record_of(tasks, &task_id).await;
        match record.add_lines(facts, &origin(), now) {
            Outcome::Unchanged => return record.live().cloned(),
            Outcome::Changed { change, rest } => {
                tasks.save(&change).await.unwrap();
                facts = rest;
            }
        }
    }
}

/// Reads a run by its own id.
pub async fn fetch_run(tasks: &dyn TaskStore, run_id: RunId) -> Option<Task> {
    tasks.fetch(&run_id.into()).await.unwrap()
}
