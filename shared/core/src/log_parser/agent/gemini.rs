//! Parses `gemini --output-format stream-json`
//! (<https://github.com/google-gemini/gemini-cli/blob/main/docs/cli/headless.md>).
//!
//! A session begins with `init` and ends with `result`. A tool that failed is no failure of the
//! session.

use super::{item, todos, usage, using, words, working};
use crate::log_parser::json::Object;
use crate::log_parser::observation::{AgentObservation, CounterKind};
use crate::model::TaskStatus;

/// Parses an object; `None` if it is of another format.
pub(super) fn parse(object: &Object<'_>) -> Option<AgentObservation> {
    let kind = object.text("type")?;
    let has = |name: &str| object.get(name).is_some();
    match kind.as_ref() {
        "init" if has("session_id") => Some(AgentObservation {
            is_start: true,
            usage: usage::parse(object).map(Box::new),
            ..working()
        }),
        "message" if has("role") => {
            let text = object.text("content")?;
            let is_agent = object.text("role").as_deref() == Some("assistant");
            // A delta is a piece of a sentence.
            let message = super::short(&text).filter(|_| is_agent && !has("delta"));
            Some(AgentObservation {
                message,
                ..working()
            })
        }
        "tool_use" if has("tool_name") => Some(use_tool(object)),
        "tool_result" if has("tool_id") => Some(working()),
        "result" => end(object),
        _ => None,
    }
}

fn use_tool(object: &Object<'_>) -> AgentObservation {
    let input = object.object("parameters").unwrap_or_default();
    let (todos, counter) = todos::parse(&input).unzip();
    let about = [
        "description",
        "command",
        "file_path",
        "path",
        "pattern",
        "query",
    ];
    AgentObservation {
        usage: using(object.get("tool_name").and_then(item)),
        current_step: input.first(&about).and_then(item),
        counters: counter
            .map(|counter| (CounterKind::Report, counter))
            .into_iter()
            .collect(),
        todos: todos.unwrap_or_default(),
        ..working()
    }
}

fn end(object: &Object<'_>) -> Option<AgentObservation> {
    let status = match object.text("status")?.as_ref() {
        "success" => TaskStatus::Completed,
        "error" => TaskStatus::Failed,
        _ => return None,
    };
    let stats = object.object("stats").map(|stats| usage::tokens(&stats));
    let error = object.object("error");
    Some(AgentObservation {
        status: Some(status),
        message: error.and_then(|error| words(error.get("message")?)),
        usage: stats.map(Box::new),
        ..AgentObservation::default()
    })
}
