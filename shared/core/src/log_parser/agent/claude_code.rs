//! Parses `claude -p --output-format stream-json --verbose`
//! (<https://code.claude.com/docs/en/headless>) and the command lines that print the same objects.
//!
//! A session begins with `system`/`init` and ends with `result`. A line with a `parent_tool_use_id`
//! is one of a sub-agent. What a tool returns says nothing about the session: the agent goes on
//! when a tool has failed.

use serde_json::value::RawValue;

use super::{item, todos, usage, using, waiting, words, working};
use crate::log_parser::json::Object;
use crate::log_parser::observation::{
    AgentObservation, CounterKind, Need, SubagentReport, Todo, TodoEdit, TodoState,
};
use crate::model::TaskStatus;

/// Parses an object; `None` if it is of another format.
pub(super) fn parse(object: &Object<'_>) -> Option<AgentObservation> {
    let kind = object.text("type")?;
    let subtype = object.text("subtype");
    match (kind.as_ref(), subtype.as_deref()) {
        ("system", Some("init")) => Some(AgentObservation {
            is_start: true,
            usage: usage::parse(object).map(Box::new),
            ..working()
        }),
        ("system", Some(_)) if object.get("session_id").is_some() => {
            Some(AgentObservation::default())
        }
        ("assistant" | "user", _) => {
            let message = object.object("message")?;
            Some(match object.text("parent_tool_use_id") {
                Some(parent) => of_subagent(&parent, &message),
                None => of_agent(&message),
            })
        }
        ("tool_call", Some(_)) => Some(working()),
        ("control_request", _) => Some(permission(&object.object("request")?)),
        ("stream_event" | "rate_limit_event" | "control_response", _) | ("thinking", Some(_)) => {
            Some(AgentObservation::default())
        }
        ("result", Some(subtype)) => Some(end(object, subtype)),
        _ => None,
    }
}

/// Reads a message of the agent, or what its tools return.
fn of_agent(message: &Object<'_>) -> AgentObservation {
    let mut line = working();
    for block in message.objects("content") {
        match block.text("type").as_deref() {
            Some("text") => line.message = block.get("text").and_then(words).or(line.message),
            Some("tool_use") => {
                if let Some(asks) = question(&block) {
                    return asks;
                }
                use_tool(&mut line, &block);
            }
            Some("tool_result") => line.parts.extend(returned(&block)),
            _ => {}
        }
    }
    line
}

/// Reads the use of a tool.
fn use_tool(line: &mut AgentObservation, block: &Object<'_>) {
    const ABOUT: [&str; 8] = [
        "description",
        "subject",
        "command",
        "file_path",
        "path",
        "pattern",
        "query",
        "url",
    ];
    let name = block.text("name").unwrap_or_default();
    let input = block.object("input").unwrap_or_default();
    line.usage = using(block.get("name").and_then(item));
    line.current_step = input.first(&ABOUT).and_then(item);
    match name.as_ref() {
        "TodoWrite" => {
            if let Some((todos, counter)) = todos::parse(&input) {
                line.current_step = current(&todos);
                line.todos = todos;
                line.counters = vec![(CounterKind::Report, counter)];
            }
        }
        "TaskCreate" => {
            if let Some(text) = input.get("subject").and_then(item) {
                let state = TodoState::Pending;
                line.todo_edits.push(TodoEdit::Add(Todo { text, state }));
            }
        }
        "TaskUpdate" => line.todo_edits.extend(update(&input)),
        "Task" | "Agent" => {
            let id = block.get("id").and_then(item);
            let name = input
                .first(&["description", "subagent_type"])
                .and_then(item);
            if let (Some(id), Some(name)) = (id, name) {
                line.parts.push(SubagentReport {
                    id,
                    name: Some(name),
                    status: Some(TaskStatus::Running),
                    ..SubagentReport::default()
                });
            }
        }
        _ => {}
    }
}

/// The item that the agent works on.
fn current(todos: &[Todo]) -> Option<String> {
    let mut todos = todos.iter();
    let todo = todos.find(|todo| todo.state == TodoState::InProgress)?;
    Some(todo.text.clone())
}

fn update(input: &Object<'_>) -> Option<TodoEdit> {
    let number = item(input.get("taskId")?)?.parse().ok()?;
    let state = match input.text("status")?.as_ref() {
        "deleted" => None,
        word => Some(todos::state(word)),
    };
    Some(TodoEdit::Set(number, state))
}

/// Reads the use of a tool that asks a person.
fn question(block: &Object<'_>) -> Option<AgentObservation> {
    let input = block.object("input").unwrap_or_default();
    Some(match block.text("name")?.as_ref() {
        "AskUserQuestion" => {
            let questions = input.objects("questions");
            let asked = questions.first().and_then(|first| first.get("question"));
            waiting(Need::Input, asked.and_then(words))
        }
        "ExitPlanMode" => waiting(Need::Approval, input.get("plan").and_then(words)),
        _ => return None,
    })
}

/// Reads a request of the command line to the program that runs it.
fn permission(request: &Object<'_>) -> AgentObservation {
    match request.text("subtype").as_deref() {
        Some("can_use_tool") => waiting(Need::Approval, request.get("tool_name").and_then(words)),
        _ => AgentObservation::default(),
    }
}

/// What a tool has returned. It is the end of a sub-agent, if the tool was one.
fn returned(block: &Object<'_>) -> Option<SubagentReport> {
    let is_error = block.get("is_error").map(RawValue::get) == Some("true");
    Some(SubagentReport {
        id: block.get("tool_use_id").and_then(item)?,
        status: Some(match is_error {
            true => TaskStatus::Failed,
            false => TaskStatus::Completed,
        }),
        ..SubagentReport::default()
    })
}

/// Reads a message of a sub-agent.
fn of_subagent(id: &str, message: &Object<'_>) -> AgentObservation {
    let line = of_agent(message);
    let counter = line.counters.first().map(|(_, counter)| *counter);
    let Some(id) = super::short(id) else {
        return AgentObservation::default();
    };
    AgentObservation {
        parts: vec![SubagentReport {
            id,
            name: None,
            status: line.status,
            counter,
            message: line.current_step,
        }],
        ..AgentObservation::default()
    }
}

fn end(object: &Object<'_>, subtype: &str) -> AgentObservation {
    let has_failed =
        object.get("is_error").map(RawValue::get) == Some("true") || subtype.starts_with("error");
    let result = object.get("result").and_then(words);
    let (status, message) = match has_failed {
        true => (TaskStatus::Failed, result.or_else(|| super::short(subtype))),
        false => (TaskStatus::Completed, result),
    };
    AgentObservation {
        status: Some(status),
        message,
        usage: usage::parse(object).map(Box::new),
        ..AgentObservation::default()
    }
}
