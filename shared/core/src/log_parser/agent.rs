//! Parses lines of agents: reports in JSON, plain text, and what AWS Lambda writes around them.
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
//! `progress`, a to-do list is the counter. `num_turns`, `model` and `tool` alone make no report. If
//! an object is no report, its message is read as plain text.

mod lambda;
mod todos;
mod usage;

use std::str::FromStr;
use std::sync::LazyLock;

use regex::Regex;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::json::{self, Object};
use super::line::{clean, strip_all_prefixes};
use super::observation::{
    AgentObservation, Counter, CounterKind, EndOf, MAX_ITEM_BYTES, Observation, ParseError, Usage,
};
use super::plain;
use super::text::{clip_some, head};
use crate::model::{ProjectId, TaskId, TaskStatus};

static LAMBDA: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(lambda::HINT).expect("the pattern is a constant"));

/// The pre-filter: whether `line` can contain progress in plain text.
pub(super) fn may_match(line: &str) -> bool {
    plain::may_match(line) || LAMBDA.is_match(line)
}

/// Parses one clean line of plain text.
pub(super) fn parse(line: &str) -> Option<Observation> {
    observe(strip_all_prefixes(line), plain::parse)
}

/// Parses one clean line of text inside a report.
fn parse_text(line: &str) -> Option<AgentObservation> {
    plain::parse(strip_all_prefixes(line))
}

/// [`parse`] without the pre-filters.
#[cfg(test)]
pub(super) fn parse_unfiltered(line: &str) -> Option<Observation> {
    observe(strip_all_prefixes(line), plain::parse_unfiltered)
}

fn observe(line: &str, parse_plain: fn(&str) -> Option<AgentObservation>) -> Option<Observation> {
    let lambda = lambda::parse(line).map(Observation::Lambda);
    lambda.or_else(|| parse_plain(line).map(Observation::Agent))
}

/// Parses a report; `Ok(None)` if the object is not a report.
pub(super) fn parse_report(object: &Object<'_>) -> Result<Option<AgentObservation>, ParseError> {
    // If the name is not a valid id, the line belongs to the task of its log stream.
    let task_id = object.task_id.and_then(id::<TaskId>);
    let project_id = object.project_id.and_then(id::<ProjectId>);
    let progress = counter(object)?;
    // What a logged HTTP request contains is not of the run.
    let of_run = (!object.is_request()).then_some(object);
    let usage = of_run.and_then(usage::parse);
    let (todos, done) = of_run.and_then(todos::parse).unzip();
    let counter = progress.or(done);
    let phase = object.phase.and_then(words);
    let current_step = object.current_step.or(object.step).and_then(words);
    let is_report =
        task_id.is_some() || counter.is_some() || phase.is_some() || current_step.is_some();
    let word = object.status.and_then(json::string).unwrap_or_default();
    let status = match parse_status(&word) {
        // HTTP requests have a status too, and some words are used for anything.
        Some(Status { is_vague: true, .. }) if !is_report => None,
        Some(_) if !is_report && object.is_request() => None,
        status => status,
    };
    let has_usage = usage.as_ref().is_some_and(Usage::makes_report);
    if !is_report && !has_usage && status.is_none() {
        return Ok(None);
    }
    let text = object.wrapped().unwrap_or_default();
    let text = clean(&text);
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

impl Object<'_> {
    fn is_request(&self) -> bool {
        self.method.is_some() || self.url.is_some() || self.status_code.is_some()
    }
}

/// Fails if a text that is not valid JSON looks like a report.
pub(super) fn check_broken_report(text: &str) -> Result<(), ParseError> {
    if text.contains("\"progress\"") || text.contains("\"task_id\"") {
        return Err(ParseError("a report is cut off or is not valid JSON"));
    }
    Ok(())
}

/// The status in a report.
struct Status {
    status: TaskStatus,
    /// Whether it means that the task starts.
    is_start: bool,
    /// Whether the word is often used for other things.
    is_vague: bool,
}

fn parse_status(word: &str) -> Option<Status> {
    const LONGEST: usize = 24;
    let word = word.trim();
    if word.len() > LONGEST {
        return None;
    }
    let word = word.to_ascii_lowercase().replace(['-', ' '], "_");
    let (status, is_start, is_vague) = match word.as_str() {
        "pending" | "queued" | "created" | "scheduled" | "submitted" | "not_started" => {
            (TaskStatus::Pending, true, word == "created")
        }
        "started" | "starting" | "start" => (TaskStatus::Running, true, false),
        "running" | "in_progress" | "inprogress" | "working" | "processing" | "executing"
        | "active" | "progress" | "ongoing" | "resumed" | "retrying" => {
            (TaskStatus::Running, false, word == "active")
        }
        "blocked" | "waiting" | "paused" | "on_hold" | "suspended" | "waiting_for_input"
        | "awaiting_approval" | "needs_input" => (TaskStatus::Blocked, false, false),
        "completed" | "complete" | "finished" | "succeeded" => {
            (TaskStatus::Completed, false, false)
        }
        "success" | "successful" | "done" | "ok" | "passed" => (TaskStatus::Completed, false, true),
        "failed" | "failure" | "crashed" | "timed_out" | "timeout" | "aborted" => (
            TaskStatus::Failed,
            false,
            matches!(word.as_str(), "timeout"),
        ),
        "error" | "errored" => (TaskStatus::Failed, false, true),
        "cancelled" | "canceled" | "stopped" | "skipped" | "terminated" | "killed" => {
            (TaskStatus::Cancelled, false, !word.starts_with("cancel"))
        }
        _ => return None,
    };
    Some(Status {
        status,
        is_start,
        is_vague,
    })
}

/// Parses an id: a string or a number.
fn id<T: FromStr>(value: &RawValue) -> Option<T> {
    let text = json::string(value).unwrap_or_else(|| value.get().into());
    let is_null = value.get() == "null";
    text.parse().ok().filter(|_| !is_null)
}

/// Parses a field with words. Numbers are counters, not words.
fn words(value: &RawValue) -> Option<String> {
    let text = json::string(value)?;
    clip_some(&clean(&text))
}

/// [`words`] of at most [`MAX_ITEM_BYTES`] bytes.
fn item(value: &RawValue) -> Option<String> {
    let text = words(value)?;
    Some(head(&text, MAX_ITEM_BYTES).trim_end().to_owned())
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Progress<'a> {
    #[serde(borrow, alias = "completed", alias = "done")]
    current: Option<&'a RawValue>,
    #[serde(borrow)]
    total: Option<&'a RawValue>,
    #[serde(borrow, alias = "percent", alias = "pct")]
    percentage: Option<&'a RawValue>,
}

/// Parses the counter of a report: its `progress`, or `step` of `total_steps`.
fn counter(object: &Object<'_>) -> Result<Option<Counter>, ParseError> {
    const CONTRADICTION: ParseError = ParseError("the progress of a report is not valid");
    let Some(progress) = object.progress.filter(|value| value.get() != "null") else {
        let step = object.step.or(object.current_step);
        let (Some(step), Some(total)) = (step, object.total_steps) else {
            return Ok(None);
        };
        if json::string(step).is_some_and(|step| step.parse::<f64>().is_err()) {
            return Ok(None);
        }
        return Ok(Some(Counter {
            current: count(Some(step))?,
            total: count(Some(total))?,
            percentage: None,
        }));
    };
    let raw = progress.get();
    if raw.starts_with('{') {
        let fields: Progress<'_> = serde_json::from_str(raw).map_err(|_| CONTRADICTION)?;
        let counter = Counter {
            current: count(fields.current)?,
            total: count(fields.total)?,
            percentage: fields.percentage.map(percentage).transpose()?.flatten(),
        };
        let is_empty = counter.current.is_none() && counter.percentage.is_none();
        return Ok(Some(counter).filter(|_| !is_empty));
    }
    if let Some(text) = json::string(progress) {
        return Ok(text_counter(&text)?.or_else(|| {
            let plain = parse_text(&clean(&text))?;
            plain.counters.last().map(|(_, counter)| *counter)
        }));
    }
    match raw.parse::<f64>() {
        // With a decimal point it is a fraction of 1, else a percentage.
        Ok(fraction) if raw.contains('.') && (0.0..=1.0).contains(&fraction) => {
            Ok(percent_counter(to_percent(whole_percent(fraction))?))
        }
        Ok(percent) => Ok(percent_counter(to_percent(percent)?)),
        Err(_) => Err(CONTRADICTION),
    }
}

/// Converts a fraction to a percentage. Adds a billionth of a percent against rounding errors.
fn whole_percent(fraction: f64) -> f64 {
    (fraction * 100.0 + 1e-9).min(100.0)
}

fn percent_counter(percentage: u8) -> Option<Counter> {
    Some(Counter {
        current: None,
        total: None,
        percentage: Some(percentage),
    })
}

/// Parses `"45%"`, `"45"` or `"3/10"`. Other words are not a counter, but also not an error.
fn text_counter(text: &str) -> Result<Option<Counter>, ParseError> {
    let text = text.trim();
    if let Ok(percent) = text.trim_end_matches('%').trim_end().parse::<f64>() {
        return Ok(percent_counter(to_percent(percent)?));
    }
    let Some((current, total)) = text.split_once('/') else {
        return Ok(None);
    };
    let (Ok(current), Ok(total)) = (current.trim().parse(), total.trim().parse()) else {
        return Ok(None);
    };
    Ok(Some(Counter {
        current: Some(current),
        total: Some(total),
        percentage: None,
    }))
}

/// Parses a number or a string with a number; `None` for null and for an empty string.
fn number(value: &RawValue) -> Result<Option<f64>, ParseError> {
    const NO_NUMBER: ParseError = ParseError("a number in a report is not valid");
    let text = json::string(value);
    let text = text.as_deref().unwrap_or(value.get()).trim();
    if text.is_empty() || text == "null" {
        return Ok(None);
    }
    text.trim_end_matches('%')
        .trim_end()
        .parse()
        .map(Some)
        .map_err(|_| NO_NUMBER)
}

fn count(value: Option<&RawValue>) -> Result<Option<u64>, ParseError> {
    /// Above 2^53, a float cannot represent every integer.
    const LARGEST: f64 = 9_007_199_254_740_992.0;
    let Some(value) = value else { return Ok(None) };
    if let Ok(exact) = value.get().parse() {
        return Ok(Some(exact));
    }
    match number(value)? {
        None => Ok(None),
        // It is in range, so the cast only drops the fraction.
        Some(number) if (0.0..=LARGEST).contains(&number) => Ok(Some(number as u64)),
        Some(_) => Err(ParseError("a counter of a report is out of range")),
    }
}

fn percentage(value: &RawValue) -> Result<Option<u8>, ParseError> {
    number(value)?.map(to_percent).transpose()
}

fn to_percent(percent: f64) -> Result<u8, ParseError> {
    if (0.0..=100.0).contains(&percent) {
        // It is in range, so the cast only drops the fraction.
        Ok(percent as u8)
    } else {
        Err(ParseError(
            "the percentage of a report is not between 0 and 100",
        ))
    }
}

#[cfg(test)]
pub(super) mod tests;
