//! Parses `codex exec --json`
//! (<https://github.com/openai/codex/blob/main/codex-rs/exec/src/exec_events.rs>).
//!
//! A turn is the whole work of `exec`. A command that failed is no failure of the turn.

use super::{item, todos, usage, using, waiting, words, working};
use crate::log_parser::json::Object;
use crate::log_parser::observation::{AgentObservation, CounterKind, Need, SubagentReport};
use crate::model::TaskStatus;

/// Parses an object; `None` if it is of another format.
pub(super) fn parse(object: &Object<'_>) -> Option<AgentObservation> {
    let kind = object.text("type")?;
    Some(match kind.as_ref() {
        "thread.started" | "turn.started" => AgentObservation {
            is_start: true,
            ..working()
        },
        "item.started" | "item.updated" | "item.completed" => of_item(&object.object("item")?),
        "request_user_input" => {
            let questions = object.objects("questions");
            let asked = questions.first().and_then(|first| first.get("question"));
            waiting(Need::Input, asked.and_then(words))
        }
        "exec_approval_request" | "apply_patch_approval_request" => {
            waiting(Need::Approval, object.get("reason").and_then(words))
        }
        "turn.completed" => AgentObservation {
            status: Some(TaskStatus::Completed),
            usage: usage::parse(object).map(Box::new),
            ..AgentObservation::default()
        },
        "turn.failed" => AgentObservation {
            status: Some(TaskStatus::Failed),
            message: object
                .object("error")
                .and_then(|error| words(error.get("message")?)),
            ..AgentObservation::default()
        },
        // It may try again, and says `turn.failed` if it gives up.
        "error" if object.get("message").is_some() => AgentObservation::default(),
        _ => return None,
    })
}

fn of_item(fields: &Object<'_>) -> AgentObservation {
    let mut line = working();
    let tool = fields.get("tool").and_then(item);
    match fields
        .first(&["type", "item_type"])
        .and_then(super::json::string)
        .as_deref()
    {
        Some("todo_list") => {
            if let Some((todos, counter)) = fields.get("items").and_then(todos::parse_list) {
                line.todos = todos;
                line.counters = vec![(CounterKind::Report, counter)];
            }
        }
        Some("agent_message") => line.message = fields.get("text").and_then(words),
        Some("command_execution") => {
            line.usage = using(Some("shell".to_owned()));
            line.current_step = fields.get("command").and_then(item);
        }
        Some("mcp_tool_call") => line.usage = using(tool),
        Some(kind @ ("web_search" | "file_change")) => {
            line.usage = using(Some(kind.to_owned()));
            line.current_step = fields.get("query").and_then(item);
        }
        Some("collab_tool_call") => {
            line.usage = using(tool);
            let states = fields.object("agents_states").unwrap_or_default();
            let states = states.fields().take(MOST_AGENTS);
            line.parts = states
                .filter_map(|(id, state)| subagent(id, &super::json::object(state)?))
                .collect();
        }
        _ => {}
    }
    line
}

/// The most sub-agents that one line tells of.
const MOST_AGENTS: usize = 50;

fn subagent(id: &str, state: &Object<'_>) -> Option<SubagentReport> {
    let status = match state.text("status")?.as_ref() {
        "completed" | "shutdown" => TaskStatus::Completed,
        "errored" | "not_found" => TaskStatus::Failed,
        "interrupted" => TaskStatus::Cancelled,
        "pending_init" => TaskStatus::Pending,
        _ => TaskStatus::Running,
    };
    let id = super::short(id)?;
    Some(SubagentReport {
        name: Some(id.clone()),
        id,
        status: Some(status),
        counter: None,
        message: state.get("message").and_then(item),
    })
}
