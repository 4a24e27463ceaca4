//! The event of a transition. It depends only on the write that caused it, so every repetition is
//! the same event.

use serde::Serialize;
use uuid::Uuid;

use crate::model::{Task, TaskId, TaskStatus, Timestamp, Transition};
use crate::store::stream_record::TaskWrite;
use crate::view::{Renderer, TaskView};

/// The most bytes of details in one request. With the rest of the request it stays below 256 KB,
/// the limit of EventBridge until 2026. The limit is 1 MB now, but targets of rules may have a
/// lower one (<https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html>).
pub const MOST_DETAIL_BYTES: usize = 240 * 1024;

/// The namespace of event ids. It must never change.
const ID_NAMESPACE: Uuid = uuid::uuid!("1671d178-eef9-481c-881b-60aac2ef7118");

/// An event about a transition of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskEvent {
    /// The event's id. It is the same at every repetition, and receivers use it to skip duplicates.
    pub id: Uuid,
    /// The task.
    pub task_id: TaskId,
    /// The transition.
    pub transition: Transition,
    /// The time of the transition, from the task.
    pub time: Timestamp,
    /// The event's resources: `task/<id>`, and `project/<id>` if the task has a project.
    pub resources: Vec<String>,
    /// The event's JSON, at most [`MOST_DETAIL_BYTES`].
    pub detail: String,
}

/// The detail of an event.
#[derive(Serialize)]
struct Detail<'a> {
    event_id: String,
    transition: Transition,
    previous_status: Option<TaskStatus>,
    /// Whether parts of the task are left out, because the detail would be too large.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    trimmed: bool,
    task: TaskView<'a>,
}

impl TaskEvent {
    /// Makes the event of a write, with the task as `renderer` shows it at that time; `None` if the
    /// write is no transition.
    pub fn of(write: &TaskWrite, renderer: Renderer) -> Option<Self> {
        let TaskWrite { previous, next } = write;
        let transition = Transition::of(previous.as_ref(), next)?;
        let time = match transition {
            Transition::Unblocked => next.updated_at,
            _ => next.completed_at.unwrap_or(next.updated_at),
        };
        // The revision identifies the write, and the run identifies the life of a task id: a
        // deleted task may be created again. None of the three can contain a line break.
        let name = format!("{}\n{}\n{}", next.task_id, next.run, next.revision);
        let id = Uuid::new_v5(&ID_NAMESPACE, name.as_bytes());
        let detail = |task: &Task, trimmed| {
            let detail = Detail {
                event_id: id.to_string(),
                transition,
                previous_status: previous.as_ref().map(|previous| previous.status),
                trimmed,
                task: renderer.view(task, time),
            };
            serde_json::to_string(&detail)
                .expect("records have string keys and no fallible serializer")
        };
        let mut text = detail(next, false);
        let mut shown = next.clone();
        for trim in [trim_messages, trim_parts, trim_texts] {
            if text.len() <= MOST_DETAIL_BYTES {
                break;
            }
            trim(&mut shown);
            text = detail(&shown, true);
        }
        let project = next.project_id.iter().map(|id| format!("project/{id}"));
        Some(Self {
            id,
            task_id: next.task_id.clone(),
            transition,
            time,
            resources: std::iter::once(format!("task/{}", next.task_id))
                .chain(project)
                .collect(),
            detail: text,
        })
    }

    /// The detail type, for the patterns of rules: `Task Completed` and so on.
    pub fn detail_type(&self) -> &'static str {
        match self.transition {
            Transition::Completed => "Task Completed",
            Transition::Failed => "Task Failed",
            Transition::Cancelled => "Task Cancelled",
            Transition::Unblocked => "Task Unblocked",
        }
    }
}

/// Leaves out the messages of all parts except the failed ones, whose messages say why they failed.
fn trim_messages(task: &mut Task) {
    let parts = task.parts.values_mut();
    for part in parts.filter(|part| part.status != TaskStatus::Failed) {
        part.message = None;
    }
}

/// Leaves out the parts.
fn trim_parts(task: &mut Task) {
    task.parts.clear();
}

/// Leaves out the texts without a tight bound of their own.
fn trim_texts(task: &mut Task) {
    task.metadata = None;
    task.message = None;
    task.phase = None;
    task.current_step = None;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Part, Progress};
    use serde_json::{Value, json};
    use std::time::Duration;
    use testkit::store::conformance::{moment, new_task, next_of};

    fn event(previous: Option<Task>, next: Task) -> Option<TaskEvent> {
        let renderer = Renderer::new(Duration::from_secs(900));
        TaskEvent::of(&TaskWrite { previous, next }, renderer)
    }

    fn failed(change: impl FnOnce(&mut Task)) -> TaskEvent {
        let running = Task {
            status: TaskStatus::Running,
            ..new_task("t")
        };
        let next = next_of(&running, |task| {
            task.status = TaskStatus::Failed;
            task.completed_at = Some(moment(500));
            change(task);
        });
        event(Some(running), next).unwrap()
    }

    fn detail(event: &TaskEvent) -> Value {
        assert!(event.detail.len() <= MOST_DETAIL_BYTES);
        serde_json::from_str(&event.detail).unwrap()
    }

    /// As many parts as stacks of a huge deploy, each with the longest possible message.
    fn parts(number: usize, status: TaskStatus) -> impl Iterator<Item = (String, Part)> {
        (0..number).map(move |number| {
            let part = Part {
                progress: Progress::default(),
                status,
                phase: None,
                message: Some("\"".repeat(1024)),
                started_at: None,
                completed_at: None,
            };
            (format!("{status}-{number}"), part)
        })
    }

    #[test]
    fn an_event_has_the_task_as_the_api_shows_it() {
        let event = failed(|task| task.project_id = Some("shop".parse().unwrap()));
        let task = detail(&event)["task"].clone();
        assert_eq!(
            detail(&event),
            json!({
                "event_id": "535e91cc-ce32-54da-9a48-36cf676b1578",
                "transition": "failed",
                "previous_status": "running",
                "task": task,
            })
        );
        assert_eq!(task["status"], "failed");
        assert_eq!(task["stale"], false);
        assert_eq!(event.resources, ["task/t", "project/shop"]);
        assert_eq!(event.detail_type(), "Task Failed");
        assert_eq!(event.time, moment(500));
    }

    #[test]
    fn the_event_of_a_new_task_has_no_previous_status() {
        let mut task = new_task("t");
        task.status = TaskStatus::Cancelled;
        let event = event(None, task).unwrap();
        assert_eq!(detail(&event)["previous_status"], Value::Null);
        assert_eq!(event.time, moment(0), "without an end, the write's own");
    }

    #[test]
    fn a_write_that_is_no_transition_has_no_event() {
        assert_eq!(event(None, new_task("t")), None);
    }

    #[test]
    fn an_id_belongs_to_one_write_of_one_run_of_one_task() {
        let id = failed(|_| {}).id;
        assert_eq!(id, failed(|task| task.message = Some("x".to_owned())).id);
        let others = [
            failed(|task| task.task_id = "u".parse().unwrap()).id,
            failed(|task| task.run = moment(1).to_string()).id,
            failed(|task| task.revision = task.revision.next()).id,
        ];
        assert!(!others.contains(&id), "{others:?}");
    }

    #[test]
    fn a_large_task_is_trimmed_until_its_event_fits() {
        let few = failed(|task| task.parts.extend(parts(3, TaskStatus::Completed)));
        assert_eq!(detail(&few).get("trimmed"), None);
        let many = failed(|task| {
            task.parts.extend(parts(500, TaskStatus::Completed));
            task.parts.extend(parts(2, TaskStatus::Failed));
        });
        let many = detail(&many);
        assert_eq!(many["trimmed"], true);
        let shown = many["task"]["parts"].as_object().unwrap();
        let is_said = |part: &Value| part["message"].is_string();
        assert_eq!(shown.len(), 502);
        assert_eq!(shown.values().filter(|part| is_said(part)).count(), 2);
        let all = failed(|task| task.parts.extend(parts(500, TaskStatus::Failed)));
        assert_eq!(detail(&all)["task"].get("parts"), None);
        let wordy = failed(|task| task.phase = Some("x".repeat(400_000)));
        assert_eq!(detail(&wordy)["task"]["status"], "failed");
    }
}
