//! Parses states of tasks of the Agent2Agent protocol (<https://a2a-protocol.org>): alone, in a
//! response, or in a stream of events.

use super::{status, words};
use crate::log_parser::json::Object;
use crate::log_parser::observation::AgentObservation;

/// Parses an object; `None` if it is of another format.
pub(super) fn parse(object: &Object<'_>) -> Option<AgentObservation> {
    let result = object
        .first(&["result", "params"])
        .and_then(super::json::object);
    let outer = result.as_ref().unwrap_or(object);
    let nested = ["statusUpdate", "status_update", "task"];
    let inner = nested.iter().find_map(|name| outer.object(name));
    let update = inner.as_ref().unwrap_or(outer);
    let status = update.object("status")?;
    let word = status.text("state")?;
    let is_named = ["contextId", "context_id", "taskId", "task_id"]
        .iter()
        .any(|name| update.get(name).is_some());
    if !is_named && !word.starts_with("TASK_STATE_") {
        return None;
    }
    let message = status.object("message");
    let parts = message.map(|message| message.objects("parts"));
    let text = parts.and_then(|parts| parts.iter().find_map(|part| words(part.get("text")?)));
    Some(match status::parse(&word) {
        Some(status) => status.observation(text),
        None => AgentObservation::default(),
    })
}
