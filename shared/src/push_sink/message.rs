//! What is published about a run.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Channel;
use crate::model::{Revision, RunId, Task, TaskId, Timestamp};
use crate::record::Head;
use crate::view::{Renderer, TaskView};

/// The most bytes of a message. AppSync drops larger ones than 240 KB without a word
/// (<https://docs.aws.amazon.com/general/latest/gr/appsync.html>).
pub const MOST_MESSAGE_BYTES: usize = 200 * 1024;
/// The bytes of an entry in a list that still may have the parts of the run: the step in the price
/// of a message (<https://aws.amazon.com/appsync/pricing/>).
pub const USUAL_ENTRY_BYTES: usize = 5 * 1024;
/// The most parts in an entry of a list.
const MOST_LISTED_PARTS: usize = 20;

/// A message for the subscribers of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushMessage {
    /// The channel.
    pub channel: Channel,
    /// The message's JSON, at most [`MOST_MESSAGE_BYTES`].
    pub event: String,
}

/// The JSON of a message.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Event<'a> {
    /// The state of a run.
    Task(TaskView<'a>),
    /// The run does not exist any more.
    Removed(ChangedRun<'a>),
    /// The run has changed, and its state is too large for a message.
    Changed(ChangedRun<'a>),
}

#[derive(Serialize)]
struct ChangedRun<'a> {
    task_id: &'a TaskId,
    run_id: RunId,
    revision: Revision,
}

/// The messages about a written head, which `renderer` shows as of `now`: one for the lists, one for
/// those who watch this task.
pub fn messages_of(head: &Head, renderer: Renderer, now: Timestamp) -> [PushMessage; 2] {
    [
        PushMessage::for_lists(head, renderer, now),
        PushMessage::for_task(head, renderer, now),
    ]
}

impl PushMessage {
    /// The message on [`Channel::Tasks`]: the run as lists show it. It also has the run's parts, if
    /// they are few and small.
    pub fn for_lists(head: &Head, renderer: Renderer, now: Timestamp) -> Self {
        let event = head.live().map_or_else(
            || removed(head),
            |task| {
                let mut entry = task.listed();
                if task.parts.len() <= MOST_LISTED_PARTS {
                    entry.parts.clone_from(&task.parts);
                    let event = state(&entry, renderer, now);
                    if event.len() <= USUAL_ENTRY_BYTES {
                        return event;
                    }
                    entry.parts = BTreeMap::new();
                }
                state(&entry, renderer, now)
            },
        );
        Self {
            channel: Channel::Tasks,
            event,
        }
    }

    /// The message on the channel of the task: all of the run.
    pub fn for_task(head: &Head, renderer: Renderer, now: Timestamp) -> Self {
        Self {
            channel: Channel::of_task(&head.task.task_id),
            event: head
                .live()
                .map_or_else(|| removed(head), |task| state(task, renderer, now)),
        }
    }
}

/// The JSON of a run's state, or that it has changed if that is too large.
fn state(task: &Task, renderer: Renderer, now: Timestamp) -> String {
    let event = to_json(&Event::Task(renderer.view(task, now)));
    if event.len() <= MOST_MESSAGE_BYTES {
        return event;
    }
    to_json(&Event::Changed(ChangedRun::of(task)))
}

fn removed(head: &Head) -> String {
    to_json(&Event::Removed(ChangedRun::of(&head.task)))
}

impl<'a> ChangedRun<'a> {
    fn of(task: &'a Task) -> Self {
        Self {
            task_id: &task.task_id,
            run_id: task.run_id(),
            revision: task.revision,
        }
    }
}

fn to_json(event: &Event<'_>) -> String {
    serde_json::to_string(event).expect("records have string keys and no fallible serializer")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;
    use crate::record::HeadState;

    fn now() -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000)
    }

    fn head(parts: usize, message_bytes: usize, state: HeadState) -> Head {
        let part = json!({"status": "running", "message": "m".repeat(message_bytes)});
        let named = |number: usize| (format!("Stack{number}"), part.clone());
        let task = json!({
            "task_id": "cdk:shop", "task_name": "Shop", "task_type": "cdk_deploy",
            "status": "running", "progress": {"current": 1, "total": 2}, "run": now(), "revision": 7,
            "created_at": now(), "updated_at": now(),
            "parts": (0..parts).map(named).collect::<serde_json::Map<_, _>>(),
        });
        let task = serde_json::from_value(task).unwrap();
        Head { task, state }
    }

    fn events_of(head: &Head) -> [Value; 2] {
        let renderer = Renderer::new(Duration::from_secs(900));
        messages_of(head, renderer, now()).map(|message| {
            assert!(message.event.len() <= MOST_MESSAGE_BYTES);
            serde_json::from_str(&message.event).unwrap()
        })
    }

    #[test]
    fn a_run_is_published_as_the_api_shows_it() {
        let head = head(2, 10, HeadState::Live);
        let view = Renderer::new(Duration::from_secs(900)).task(&head.task, now());
        let view: Value = serde_json::from_slice(&view).unwrap();
        assert_eq!(
            events_of(&head),
            [json!({"task": view}), json!({"task": view})]
        );
    }

    #[test]
    fn lists_get_no_parts_if_these_are_many_or_large() {
        for (parts, message_bytes) in [(21, 0), (20, 500)] {
            let [entry, whole] = events_of(&head(parts, message_bytes, HeadState::Live));
            assert_eq!(entry.pointer("/task/parts"), None);
            let shown = whole.pointer("/task/parts").and_then(Value::as_object);
            assert_eq!(shown.unwrap().len(), parts);
        }
    }

    #[test]
    fn subscribers_are_told_to_look_if_a_state_is_too_large() {
        let [entry, whole] = events_of(&head(300, 1000, HeadState::Live));
        assert_eq!(entry.pointer("/task/revision"), Some(&json!(7)));
        let run_id = "cdk:shop@20231114T221320.000Z";
        let changed = json!({"task_id": "cdk:shop", "run_id": run_id, "revision": 7});
        assert_eq!(whole, json!({"changed": changed}));
    }

    #[test]
    fn a_run_that_does_not_exist_any_more_is_removed() {
        for state in [HeadState::Deleted, HeadState::Merged, HeadState::Expired] {
            for event in events_of(&head(1, 1, state)) {
                assert_eq!(event.pointer("/removed/revision"), Some(&json!(7)));
                assert_eq!(event.get("task"), None);
            }
        }
    }
}
