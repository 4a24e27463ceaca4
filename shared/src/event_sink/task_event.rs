//! The event of a transition. It depends only on the write that caused it, so every repetition is
//! the same event.

use serde::Serialize;
use uuid::Uuid;

use crate::model::{Task, TaskId, TaskStatus, Timestamp, Transition};
use crate::store::stream_record::RunWrite;
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
    /// Whether the run has ended before, and later evidence shows another end.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    corrected: bool,
    /// Whether parts of the task are left out, because the detail would be too large.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    trimmed: bool,
    task: TaskView<'a>,
}

impl TaskEvent {
    /// Makes the event of a write, with the run as `renderer` shows it at that time, without its
    /// parts; `None` if the write is no transition.
    pub fn of(write: &RunWrite, renderer: Renderer) -> Option<Self> {
        let RunWrite { previous, next } = write;
        let previous = previous.as_ref();
        let previous = previous.filter(|previous| previous.run == next.run);
        let transition = Transition::of(previous, next)?;
        let time = match transition {
            Transition::Blocked | Transition::Unblocked => next.updated_at,
            _ => next.completed_at.unwrap_or(next.updated_at),
        };
        // The revision identifies the write among those of the run, whichever record tells of it.
        // None of the three can contain a line break.
        let name = format!("{}\n{}\n{}", next.task_id, next.run, next.revision);
        let id = Uuid::new_v5(&ID_NAMESPACE, name.as_bytes());
        let detail = |task: &Task, trimmed| {
            let detail = Detail {
                event_id: id.to_string(),
                transition,
                previous_status: previous.map(|previous| previous.status),
                corrected: next.corrections > 0 && next.status.is_terminal(),
                trimmed,
                task: renderer.view(task, time),
            };
            serde_json::to_string(&detail)
                .expect("records have string keys and no fallible serializer")
        };
        let mut text = detail(next, false);
        let mut shown = next.clone();
        if text.len() > MOST_DETAIL_BYTES {
            trim_texts(&mut shown);
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
            Transition::Ended => "Task Ended",
            Transition::Silent => "Task Silent",
            Transition::Blocked => "Task Blocked",
            Transition::Unblocked => "Task Unblocked",
        }
    }
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
    use crate::model::Failure;
    use serde_json::{Value, json};
    use std::time::Duration;
    use testkit::store::conformance::{moment, new_task, next_of};

    fn event(previous: Option<Task>, next: Task) -> Option<TaskEvent> {
        let renderer = Renderer::new(Duration::from_secs(900));
        TaskEvent::of(&RunWrite { previous, next }, renderer)
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
    fn the_event_of_a_failure_tells_the_cause_also_when_it_is_trimmed() {
        for phase in ["", &"x".repeat(400_000)] {
            let event = failed(|task| {
                let failure = Failure::new("no third queue".to_owned(), moment(1));
                task.failure = Some(Box::new(failure));
                task.phase = Some(phase.to_owned());
            });
            let cause = &detail(&event)["task"]["failure"]["cause"];
            assert_eq!(cause, "no third queue");
        }
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
            failed(|task| task.run = moment(1)).id,
            failed(|task| task.revision = task.revision.next()).id,
        ];
        assert!(!others.contains(&id), "{others:?}");
    }

    #[test]
    fn a_correction_is_told_apart() {
        assert_eq!(detail(&failed(|_| {})).get("corrected"), None);
        let corrected = failed(|task| task.corrections = 1);
        assert_eq!(detail(&corrected)["corrected"], true);
    }

    #[test]
    fn a_task_that_waits_is_an_event_of_its_own() {
        let running = Task {
            status: TaskStatus::Running,
            ..new_task("t")
        };
        let blocked = next_of(&running, |task| task.status = TaskStatus::Blocked);
        let blocked = event(Some(running), blocked).unwrap();
        assert_eq!(blocked.detail_type(), "Task Blocked");
        assert_eq!(detail(&blocked)["previous_status"], "running");
    }

    #[test]
    fn a_large_task_is_trimmed_until_its_event_fits() {
        assert_eq!(detail(&failed(|_| {})).get("trimmed"), None);
        let wordy = detail(&failed(|task| task.phase = Some("x".repeat(400_000))));
        assert_eq!(wordy["trimmed"], true);
        assert_eq!(wordy["task"]["status"], "failed");
    }
}
