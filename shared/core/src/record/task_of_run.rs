//! Turns a run into the task that lists and stores show.

use super::TaskOrigin;
use crate::fold::{LineKey, Run};
use crate::log_parser::LogFormat;
use crate::model::{
    MAX_MESSAGE_BYTES, MAX_NAME_CHARS, Revision, Task, TaskId, TaskType, Timestamp,
};

/// The state of the run `name` of a task, with revision 0.
///
/// `origin` is where its lines come from. `kept` is its state before, or that of the run before: it
/// has what logs don't say.
pub fn task_of_run(
    run: &Run,
    name: Timestamp,
    task_id: &TaskId,
    origin: Option<&TaskOrigin>,
    kept: Option<&Task>,
) -> Task {
    let report = run.report();
    let given = &run.given;
    // The stream that first reported the task. Otherwise two streams would take turns.
    let log_group = kept.and_then(|kept| kept.log_group.clone());
    let log_stream = kept.and_then(|kept| kept.log_stream.clone());
    let log_group = log_group.or_else(|| Some(origin?.log_group.clone()));
    let log_stream = log_stream.or_else(|| Some(origin?.log_stream.clone()));
    let task_type = given.task_type.or(run.task_type());
    let task_type = task_type.or(kept.map(|kept| kept.task_type));
    let task_type = task_type.or(origin.map(|origin| origin.format.task_type));
    let project_id = given.project_id.clone();
    let started_at = report.start.map(LineKey::time);
    let completed_at = report.end.map(LineKey::time);
    let last_heard = report.last.max(run.last_heard()).time();
    let last = completed_at.unwrap_or(last_heard);
    let mut task = Task {
        task_name: match &given.task_name {
            Some(name) => name.clone(),
            None => name_of(report.title, task_id, log_stream.as_deref()),
        },
        task_id: task_id.clone(),
        task_type: task_type.unwrap_or(TaskType::Other),
        status: report.status,
        priority: kept.and_then(|kept| kept.priority),
        progress: report.progress,
        run: name,
        is_earlier: false,
        is_assumed: run.has_assumed_end(),
        corrections: run.corrections,
        revision: Revision::default(),
        project_id: project_id.or_else(|| kept?.project_id.clone()),
        message: report.message.map(|text| cut(text, MAX_MESSAGE_BYTES)),
        failure: report.failure.map(Box::new),
        phase: report.phase,
        current_step: report.current_step,
        parts: report.parts,
        agent: report.agent.map(Box::new),
        context: run.context.clone(),
        log_group,
        log_stream,
        created_at: run.created.unwrap_or(report.first).time(),
        started_at,
        updated_at: last_heard,
        completed_at,
        duration_ms: started_at.map(|started_at| last.millis_since(started_at)),
        usual_duration_ms: kept
            .filter(|kept| kept.run == name)
            .and_then(|kept| kept.usual_duration_ms),
        metadata: kept.and_then(|kept| kept.metadata.clone()),
    };
    run.edits.apply(&mut task, report.last);
    task
}

/// The name of a run: that of its stacks, or of its log stream, or the id that names the task.
fn name_of(title: Option<String>, task_id: &TaskId, log_stream: Option<&str>) -> String {
    let id = task_id.as_str();
    let mut formats = LogFormat::ALL.iter().chain([&LogFormat::ANY]);
    let is_of_stream = formats.any(|format| id.split(':').next() == Some(format.id));
    let name = title.or_else(|| log_stream.filter(|_| is_of_stream).map(str::to_owned));
    let name = name.unwrap_or_default();
    let name = name.chars().filter(|char| !char.is_control());
    let name: String = name.take(MAX_NAME_CHARS).collect();
    match name.trim() {
        "" => id.to_owned(),
        _ => name,
    }
}

/// Cuts `text` to at most `most` bytes, between two characters.
fn cut(mut text: String, most: usize) -> String {
    text.truncate(text.floor_char_boundary(most));
    text
}
