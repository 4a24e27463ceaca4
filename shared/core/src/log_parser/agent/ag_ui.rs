//! Parses events of the Agent-User Interaction protocol (<https://docs.ag-ui.com>).

use serde_json::value::RawValue;

use super::{item, status, using, waiting, words, working};
use crate::log_parser::json::{self, Object};
use crate::log_parser::observation::{AgentObservation, Need};
use crate::model::TaskStatus;

/// Parses an object; `None` if it is of another format.
pub(super) fn parse(object: &Object<'_>) -> Option<AgentObservation> {
    const SILENT: [&str; 8] = [
        "TEXT_MESSAGE_",
        "TOOL_CALL_",
        "THINKING_",
        "REASONING_",
        "STATE_",
        "MESSAGES_SNAPSHOT",
        "ACTIVITY_",
        "STEP_FINISHED",
    ];
    let kind = object.text("type")?;
    Some(match kind.as_ref() {
        "RUN_STARTED" => AgentObservation {
            is_start: true,
            ..working()
        },
        "STEP_STARTED" => AgentObservation {
            current_step: object.get("stepName").and_then(item),
            ..working()
        },
        "TOOL_CALL_START" => AgentObservation {
            usage: using(object.get("toolCallName").and_then(item)),
            ..working()
        },
        "RUN_FINISHED" => finished(object.get("outcome")),
        "RUN_ERROR" => AgentObservation {
            status: Some(TaskStatus::Failed),
            message: object.get("message").and_then(words),
            ..AgentObservation::default()
        },
        kind if SILENT.iter().any(|start| kind.starts_with(start)) => AgentObservation::default(),
        _ => return None,
    })
}

/// A run that was interrupted waits for a person.
fn finished(outcome: Option<&RawValue>) -> AgentObservation {
    let fields = outcome.and_then(json::object).unwrap_or_default();
    let word = outcome
        .and_then(json::string)
        .or_else(|| fields.text("type"));
    if word.as_deref() != Some("interrupt") {
        return AgentObservation {
            status: Some(TaskStatus::Completed),
            ..AgentObservation::default()
        };
    }
    let interrupts = fields.objects("interrupts");
    let first = interrupts.first();
    let reason = first
        .and_then(|first| first.text("reason"))
        .unwrap_or_default();
    let need = status::parse(&reason).and_then(|status| status.need);
    let question = first.and_then(|first| first.get("message")).and_then(words);
    waiting(need.unwrap_or(Need::Input), question)
}
