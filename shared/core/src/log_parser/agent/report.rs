//! Parses reports, which any program can print, and the records of JSON loggers.
//!
//! A report is an object with any of these fields; others are ignored:
//!
//! ```json
//! {"timestamp": "…", "level": "INFO", "task_id": "t-1", "project_id": "p-1", "message": "…",
//!  "phase": "build", "step": "linking", "status": "running",
//!  "progress": {"current": 3, "total": 10, "percentage": 30},
//!  "todos": [{"content": "link", "status": "in_progress"}],
//!  "usage": {"input_tokens": 900, "output_tokens": 80}, "total_cost_usd": 0.02,
//!  "num_turns": 4, "model": "m-1", "tool": "bash"}
//! ```
//!
//! `progress` may also be a percentage (`30`, `0.3`, `"30%"`) or a counter (`"3/10"`). Without
//! `progress`, fields such as `done` and `total` are the counter, or else a to-do list is.
//! `num_turns`, `model` and `tool` alone make no report.

use std::str::FromStr;

use serde_json::value::RawValue;

use super::status::Status;
use super::{counter, logger, parse_text, todos, usage, words};
use crate::log_parser::json::{self, Object};
use crate::log_parser::line::clean;
use crate::log_parser::observation::{
    AgentObservation, CounterKind, EndOf, ParseError, Usage, Waiting,
};
use crate::log_parser::plain;
use crate::log_parser::text::clip_some;
use crate::model::{ProjectId, TaskId, TaskStatus};

/// Parses a report; `Ok(None)` if the object is not a report.
pub(super) fn parse(object: &Object<'_>) -> Result<Option<AgentObservation>, ParseError> {
    // If the name is not a valid id, the line belongs to the task of its log stream.
    let task_id = object.first(&["task_id", "taskId"]).and_then(id::<TaskId>);
    let project_id = object
        .first(&["project_id", "projectId"])
        .and_then(id::<ProjectId>);
    let progress = counter::progress(object)?;
    let is_request = ["method", "url", "status_code", "statusCode"]
        .iter()
        .any(|name| object.get(name).is_some());
    // What a logged HTTP request contains is not of the run.
    let of_run = (!is_request).then_some(object);
    let progress = progress.or_else(|| logger::counter(of_run?));
    let usage = of_run.and_then(usage::parse);
    let (todos, done) = of_run.and_then(todos::parse).unzip();
    let counter = progress.or(done);
    let phase = object.get("phase").and_then(words);
    let stage = object.get("stage").filter(|_| counter.is_some());
    let phase = phase.or_else(|| stage.and_then(words));
    let steps = ["current_step", "currentStep", "step"];
    let current_step = object.first(&steps).and_then(words);
    let is_report =
        task_id.is_some() || counter.is_some() || phase.is_some() || current_step.is_some();
    let is_open = counter.is_some_and(|counter| !counter.is_full());
    let status = match logger::status(object, counter) {
        // HTTP requests have a status too, and some words are used for anything.
        Some(Status { is_vague: true, .. }) if !is_report => None,
        Some(_) if !is_report && is_request => None,
        // `{"done": 3, "total": 9, "status": "ok"}`
        Some(Status {
            is_vague: true,
            status: TaskStatus::Completed,
            ..
        }) if is_open => None,
        status => status,
    };
    let has_usage = usage.as_ref().is_some_and(Usage::makes_report);
    if !is_report && !has_usage && status.is_none() {
        return Ok(None);
    }
    let text = object.wrapped().filter(|text| !text.starts_with('{'));
    let text = text.unwrap_or_default();
    let text = clean(&text);
    let need = status.and_then(|status| status.need);
    let waiting = need.map(|need| Waiting {
        need,
        question: clip_some(&text),
    });
    let mut report = AgentObservation {
        is_start: status.as_ref().is_some_and(|status| status.is_start),
        status: status.map(|status| status.status),
        end_of: EndOf::Run,
        task_id: task_id.map(String::from),
        project_id: project_id.map(String::from),
        counters: Vec::new(),
        phase,
        current_step,
        message: clip_some(&text),
        usage: usage.map(Box::new),
        todos: todos.unwrap_or_default(),
        waiting: waiting.map(Box::new),
        ..AgentObservation::default()
    };
    match counter {
        Some(counter) => {
            // An agent may begin a new to-do list in the middle of a run.
            report.is_start |= progress.as_ref().is_some_and(plain::is_first);
            report.counters.push((CounterKind::Report, counter));
        }
        None => {
            // The message may contain the counter.
            if let Some(plain) = text.lines().find_map(parse_text) {
                report.is_start |= plain.is_start;
                report.counters = plain.counters;
                if report.status.is_none() {
                    report.status = plain.status;
                    report.end_of = plain.end_of;
                }
            }
        }
    }
    report.is_start &= !report.status.is_some_and(TaskStatus::is_terminal);
    Ok(Some(report))
}

/// Fails if a text that is not valid JSON looks like a report.
pub(in crate::log_parser) fn check_broken(text: &str) -> Result<(), ParseError> {
    if text.contains("\"progress\"") || text.contains("\"task_id\"") {
        return Err(ParseError("a report is cut off or is not valid JSON"));
    }
    Ok(())
}

/// Parses an id: a string or a number.
fn id<T: FromStr>(value: &RawValue) -> Option<T> {
    let text = json::string(value).unwrap_or_else(|| value.get().into());
    text.parse().ok()
}
