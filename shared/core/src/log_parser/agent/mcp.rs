//! Parses progress and tasks of the Model Context Protocol
//! (<https://modelcontextprotocol.io/specification>).

use super::number::{number, of_numbers};
use super::{status, waiting, words, working};
use crate::log_parser::json::Object;
use crate::log_parser::observation::{AgentObservation, CounterKind, Need};

/// Parses an object; `None` if it is of another format.
pub(super) fn parse(object: &Object<'_>) -> Option<AgentObservation> {
    let params = object.object("params").unwrap_or_default();
    match object.text("method").as_deref() {
        Some("notifications/progress") => Some(progress(&params)),
        Some("notifications/tasks/status") => Some(task(&params)),
        Some("elicitation/create") => {
            Some(waiting(Need::Input, params.get("message").and_then(words)))
        }
        Some(method) if method.starts_with("notifications/") => Some(AgentObservation::default()),
        Some(_) => None,
        None => {
            let result = object
                .object("result")
                .filter(|_| object.get("jsonrpc").is_some())?;
            let state = result.object("task").unwrap_or(result);
            // A2A has an object as the status.
            state.get("taskId").and(state.text("status"))?;
            Some(task(&state))
        }
    }
}

fn progress(params: &Object<'_>) -> AgentObservation {
    let value = |name| number(params.get(name)?).ok().flatten();
    let counter = value("progress").and_then(|current| of_numbers(current, value("total")));
    AgentObservation {
        counters: counter
            .map(|counter| (CounterKind::Step, counter))
            .into_iter()
            .collect(),
        message: params.get("message").and_then(words),
        ..working()
    }
}

fn task(state: &Object<'_>) -> AgentObservation {
    let message = state.get("statusMessage").and_then(words);
    let word = state.text("status").unwrap_or_default();
    match status::parse(&word) {
        Some(status) => status.observation(message),
        None => AgentObservation::default(),
    }
}
