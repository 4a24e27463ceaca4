//! Turns the newest run of a ledger into the stored task.

use super::ledger::Ledger;
use super::report::Report;
use crate::log_parser::LogFormat;
use crate::model::{
    MAX_MESSAGE_BYTES, MAX_NAME_CHARS, ProjectId, Revision, Task, TaskId, Timestamp,
};

impl Report {
    /// Derives the state of the newest run; `None` if no line so far belongs to a run.
    pub fn of(ledger: &Ledger) -> Option<Self> {
        Some(ledger.newest_run()?.0.report())
    }
}

/// The source of the lines of a task.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskOrigin {
    /// The format of the log.
    pub format: LogFormat,
    /// The log group.
    pub log_group: String,
    /// The log stream.
    pub log_stream: String,
}

/// The result of folding a ledger into a task.
#[derive(Debug, Clone, PartialEq)]
pub enum FoldedTask {
    /// The ledger has no task.
    Nothing,
    /// Everything in the ledger belongs to a deleted task. Late lines can show this for a task that
    /// looked like a later run.
    Deleted,
    /// The task's next state.
    Live(Box<Task>),
}

impl FoldedTask {
    /// The task's next state; `None` if there is none.
    pub fn live(self) -> Option<Task> {
        match self {
            Self::Live(task) => Some(*task),
            Self::Nothing | Self::Deleted => None,
        }
    }
}

/// Folds `ledger` and the stored task `previous` into the next revision of the task.
///
/// Fields that a caller of the API set (name, type, priority, metadata) stay. Edits of callers are
/// applied: see [`CallerEdit`](super::CallerEdit). A deleted task stays deleted until its log
/// starts a later run.
pub fn fold_into_task(
    task_id: &TaskId,
    origin: &TaskOrigin,
    previous: Option<&Task>,
    ledger: &Ledger,
) -> FoldedTask {
    let Some((run, pass)) = ledger.newest_run() else {
        return FoldedTask::Nothing;
    };
    if run.is_deleted {
        return FoldedTask::Deleted;
    }
    let report = run.report();
    let first = pass.earlier.first().map_or(run.first, |run| run.first);
    let started_at = report.start.time();
    let completed_at = report.end.map(super::LineKey::time);
    let last = completed_at.unwrap_or(report.last.time());
    let named_project = pass.project_id.and_then(|named| named.parse().ok());
    let kept = previous.filter(|_| ledger.adopted);
    let (identity, last_line) = (report.run, report.last);
    let mut task = Task {
        task_id: task_id.clone(),
        task_name: match kept {
            Some(previous) => previous.task_name.clone(),
            None => name_of(&report, task_id, origin),
        },
        task_type: kept.map_or(origin.format.task_type, |previous| previous.task_type),
        status: report.status,
        priority: previous.and_then(|previous| previous.priority),
        progress: report.progress,
        run: report.run.time().to_string(),
        revision: revision_before(previous, ledger).next(),
        project_id: named_project.or_else(|| project_of(previous)),
        message: report
            .message
            .map(|message| cut(message, MAX_MESSAGE_BYTES)),
        phase: report.phase,
        current_step: report.current_step,
        parts: report.parts,
        log_group: Some(origin.log_group.clone()),
        log_stream: Some(origin.log_stream.clone()),
        created_at: previous.map_or(first.time(), |previous| match ledger.adopted {
            true => previous.created_at,
            false => previous.created_at.min(first.time()),
        }),
        started_at: Some(started_at),
        updated_at: previous
            .map_or(Timestamp::default(), |p| p.updated_at)
            .max(report.last.time()),
        completed_at,
        duration_ms: Some(last.millis_since(started_at)),
        usual_duration_ms: previous.and_then(|previous| previous.usual_duration_ms),
        metadata: previous.and_then(|previous| previous.metadata.clone()),
    };
    if let Some(name) = pass.task_name {
        task.task_name = name;
    }
    run.edits.apply(&mut task, identity, last_line);
    FoldedTask::Live(Box::new(task))
}

/// The revision before the next one: that of the task, or of the deleted task.
fn revision_before(previous: Option<&Task>, ledger: &Ledger) -> Revision {
    let previous = previous.map(|previous| previous.revision);
    previous.or(ledger.deleted_revision).unwrap_or_default()
}

fn project_of(previous: Option<&Task>) -> Option<ProjectId> {
    previous.and_then(|previous| previous.project_id.clone())
}

fn name_of(report: &Report, task_id: &TaskId, origin: &TaskOrigin) -> String {
    let format = origin.format;
    let is_of_stream = task_id.as_str().split(':').next() == Some(format.id);
    let name = match &report.title {
        Some(title) => title.clone(),
        None if format.names_tasks && !is_of_stream => format!("{} · {task_id}", format.title),
        None => format!("{} · {}", format.title, origin.log_stream),
    };
    name.chars()
        .filter(|char| !char.is_control())
        .take(MAX_NAME_CHARS)
        .collect()
}

/// Cuts `text` to at most `most` bytes, between two characters.
fn cut(mut text: String, most: usize) -> String {
    text.truncate(text.floor_char_boundary(most));
    text
}
