//! Parses lines of agents: their own streams in JSON, reports in JSON, plain text, and what AWS
//! Lambda writes around them.
//!
//! Several command lines print their session as a stream of JSON objects. The table [`STREAMS`] has
//! a parser for each. An object of none of them may be a [report](report), which any program can
//! print. If it is no report, its message is read as plain text.

mod a2a;
mod ag_ui;
mod checklist;
mod claude_code;
mod codex;
mod counter;
mod fields;
mod gemini;
mod gen_ai;
mod lambda;
mod logger;
mod mcp;
mod number;
mod report;
mod state_line;
mod status;
mod step_functions;
mod todos;
mod usage;

use std::sync::LazyLock;

use regex::Regex;
use serde_json::value::RawValue;

use super::json::{self, Object};
use super::line::{clean, strip_all_prefixes};
use super::observation::{
    AgentObservation, MAX_ITEM_BYTES, Need, Observation, ParseError, Usage, Waiting,
};
use super::plain;
use super::text::{clip_some, head};
use crate::model::TaskStatus;

pub(crate) use lambda::is_of_platform;
pub(super) use report::check_broken as check_broken_report;

/// What the fields of a JSON object say.
pub(super) enum ObjectContent {
    /// They are not of an agent. The text inside the object may be, or of CDK.
    Foreign,
    /// The object is of an agent and says nothing about progress. Nor does the text inside.
    Silent,
    /// Fields whose names do not say that they are progress, for a text that says nothing either.
    Samples(Box<Observation>),
    /// This.
    Report(Box<Observation>),
}

/// Reads an object. `None` if it is of another format. An empty observation says that it is of this
/// format and has nothing about progress.
type StreamParser = fn(&Object<'_>) -> Option<AgentObservation>;

/// The table of agents' own streams. The first that knows an object reads it.
static STREAMS: [StreamParser; 7] = [
    claude_code::parse,
    codex::parse,
    gemini::parse,
    mcp::parse,
    a2a::parse,
    ag_ui::parse,
    step_functions::parse,
];

/// Parses an object.
pub(super) fn parse_object(object: &Object<'_>) -> Result<ObjectContent, ParseError> {
    let of_stream = STREAMS.iter().find_map(|stream| stream(object));
    Ok(match of_stream {
        Some(line) if line == AgentObservation::default() => ObjectContent::Silent,
        Some(line) => ObjectContent::Report(Box::new(Observation::Agent(line))),
        None => match report::parse(object)? {
            Some(report) => ObjectContent::Report(Box::new(Observation::Agent(report))),
            None => match fields::samples_of(object) {
                Some(samples) => ObjectContent::Samples(Box::new(Observation::Samples(samples))),
                None => ObjectContent::Foreign,
            },
        },
    })
}

static HINT: LazyLock<Regex> = LazyLock::new(|| {
    let hints = [
        lambda::HINT,
        checklist::HINT,
        state_line::HINT,
        fields::HINT,
        plain::languages::WAIT_HINT,
    ];
    Regex::new(&hints.join("|")).expect("the patterns are constants")
});

/// The pre-filter: whether `line` can contain progress in plain text.
pub(super) fn may_match(line: &str) -> bool {
    plain::may_match(line) || HINT.is_match(line)
}

/// Parses one clean line of plain text.
pub(super) fn parse(line: &str) -> Option<Observation> {
    observe(strip_all_prefixes(line), plain::parse)
}

/// Parses one clean line of text inside a report.
fn parse_text(line: &str) -> Option<AgentObservation> {
    plain::parse_sure(strip_all_prefixes(line))
}

/// [`parse`] without the pre-filters.
#[cfg(test)]
pub(super) fn parse_unfiltered(line: &str) -> Option<Observation> {
    observe(strip_all_prefixes(line), plain::parse_unfiltered)
}

fn observe(line: &str, parse_plain: fn(&str) -> Option<Observation>) -> Option<Observation> {
    if let Some(lambda) = lambda::parse(line) {
        return Some(Observation::Lambda(lambda));
    }
    let agent = checklist::parse(line).or_else(|| state_line::parse(line));
    match agent.map(Observation::Agent).or_else(|| parse_plain(line)) {
        Some(Observation::Samples(samples)) => {
            Some(fields::parse_line(line).unwrap_or(Observation::Samples(samples)))
        }
        None => fields::parse_line(line),
        found => found,
    }
}

/// An observation of an agent that works.
fn working() -> AgentObservation {
    AgentObservation {
        status: Some(TaskStatus::Running),
        ..AgentObservation::default()
    }
}

/// An observation of an agent that waits for a person.
fn waiting(need: Need, question: Option<String>) -> AgentObservation {
    AgentObservation {
        status: Some(TaskStatus::Blocked),
        message: question.clone(),
        waiting: Some(Box::new(Waiting { need, question })),
        ..AgentObservation::default()
    }
}

/// A usage that tells the tool.
fn using(tool: Option<String>) -> Option<Box<Usage>> {
    tool.map(|tool| {
        Box::new(Usage {
            tool: Some(tool),
            ..Usage::default()
        })
    })
}

/// A text without control characters, of at most [`MAX_ITEM_BYTES`] bytes; `None` if it is empty.
fn short(text: &str) -> Option<String> {
    let text = clip_some(&clean(text))?;
    Some(head(&text, MAX_ITEM_BYTES).trim_end().to_owned())
}

/// Parses a field with words. Numbers are counters, not words.
fn words(value: &RawValue) -> Option<String> {
    clip_some(&clean(&json::string(value)?))
}

/// [`words`] of at most [`MAX_ITEM_BYTES`] bytes.
fn item(value: &RawValue) -> Option<String> {
    short(&json::string(value)?)
}

#[cfg(test)]
pub(super) mod tests;
