//! Parses log messages into observations. Pure: no I/O, no clock, no state between lines.
//!
//! Each line is parsed on its own. [`fold`](crate::fold) answers every question that needs several
//! lines: which stack a row without a stack name belongs to, which of two counters is the outer
//! one, where a run starts. The result therefore does not depend on the order in which lines
//! arrive.
//!
//! A line goes through these steps. Most lines stop at the first:
//! 1. A cheap pre-filter tests whether the line can contain anything of its [`LogFormat`].
//! 2. Colours and the prefixes of other programs are removed.
//! 3. If the line is JSON, its fields or the message inside are read.
//! 4. The parser of the format reads the text.
//!
//! The time is linear in the length of the message.

mod agent;
mod cdk;
mod format;
pub(crate) mod json;
pub(crate) mod line;
mod observation;
pub(crate) mod plain;
#[cfg(any(test, feature = "properties"))]
pub mod properties;
pub(crate) mod text;

#[cfg(test)]
mod corpus_tests;
#[cfg(test)]
mod property_tests;

pub(crate) use line::split_lines;

pub use format::{FormatEntry, LogFormat};
pub use observation::{
    AgentObservation, CdkObservation, Counter, CounterKind, EndOf, InRun, LambdaObservation,
    MAX_ITEM_BYTES, MAX_TODOS, Observation, Operation, Outcome, ParseError, Resource,
    ResourceState, RowSubject, StackState, Todo, TodoState, Usage,
};

use crate::model::TaskType;

/// The table of log formats. CONTRIBUTING.md describes how to add one.
impl LogFormat {
    /// The output of the CDK command line.
    pub const CDK: Self = Self(&CDK);
    /// The output of automation agents.
    pub const AGENT: Self = Self(&AGENT);
    /// All formats, in the order of the options of the command line.
    pub const ALL: [Self; 2] = [Self::CDK, Self::AGENT];
}

static CDK: FormatEntry = FormatEntry {
    id: "cdk",
    option: "cdk",
    option_help: "Log of the CDK command line: a file, a directory, or `-` for standard input; repeatable",
    environment_variable: "CDK_LOG_GROUP_NAME",
    file_log_group: "/miyabi/cdk",
    task_type: TaskType::CdkDeploy,
    title: "CDK",
    names_tasks: false,
    may_match: cdk::may_match,
    parse: |line| Ok(cdk::parse(line)?.map(Observation::Cdk)),
    #[cfg(test)]
    parse_unfiltered: |line| Ok(cdk::parse(line)?.map(Observation::Cdk)),
    parse_object: |_| Ok(None),
    check_broken_object: |_| Ok(()),
    #[cfg(test)]
    examples: cdk::tests::EXAMPLES,
};

static AGENT: FormatEntry = FormatEntry {
    id: "agent",
    option: "agents",
    option_help: "Log of agents, in JSON or plain text: a file, a directory, or `-` for standard input; repeatable",
    environment_variable: "AGENT_LOG_GROUP_NAME",
    file_log_group: "/miyabi/agents",
    task_type: TaskType::AgentExecution,
    title: "Agent",
    names_tasks: true,
    may_match: agent::may_match,
    parse: |line| Ok(agent::parse(line)),
    #[cfg(test)]
    parse_unfiltered: |line| Ok(agent::parse_unfiltered(line)),
    parse_object: |object| Ok(agent::parse_report(object)?.map(Observation::Agent)),
    check_broken_object: agent::check_broken_report,
    #[cfg(test)]
    examples: agent::tests::EXAMPLES,
};

/// How many JSON objects may be nested around a line.
const MAX_DEPTH: u32 = 4;

/// Parses the message of a log event line by line.
///
/// Calls `sink` with each observation and its number. Numbers are unique and rise: the number of the
/// line (from 0), plus 1 for each further observation in the lines so far. Most lines are not about
/// progress and have no observation; only a JSON line with several lines inside has more than one.
/// Returns how many lines were read, parsed and broken.
pub fn parse_message(
    format: LogFormat,
    message: &str,
    sink: &mut dyn FnMut(u32, Observation),
) -> LineCounts {
    let mut counts = LineCounts::default();
    let mut number: u32 = 0;
    for line in line::split_lines(message) {
        let mut parsed: u32 = 0;
        let result = parse_line(format, line, 0, &mut |observation| {
            sink(number.saturating_add(parsed), observation);
            parsed += 1;
        });
        number = number.saturating_add(parsed.max(1));
        counts.lines += 1;
        counts.parsed += u64::from(parsed > 0);
        counts.failures += u64::from(result.is_err());
    }
    counts
}

/// Parses one line that is nested in `depth` JSON objects.
fn parse_line(
    format: LogFormat,
    raw: &str,
    depth: u32,
    sink: &mut dyn FnMut(Observation),
) -> Result<(), ParseError> {
    let may_be_object = memchr::memchr(b'{', raw.as_bytes()).is_some();
    let may_match = format.may_match(raw);
    if !may_be_object && !may_match {
        return Ok(());
    }
    let line = line::clean(raw);
    if may_be_object && depth < MAX_DEPTH {
        let object = line::strip_all_prefixes(&line);
        if object.starts_with('{') {
            return parse_object(format, object, depth, sink);
        }
    }
    if !may_match {
        return Ok(());
    }
    format.parse(&line)?.into_iter().for_each(sink);
    Ok(())
}

/// Parses a line that starts with `{`.
fn parse_object(
    format: LogFormat,
    text: &str,
    depth: u32,
    sink: &mut dyn FnMut(Observation),
) -> Result<(), ParseError> {
    let Ok(object) = json::parse(text) else {
        format.check_broken_object(text)?;
        return match json::salvage(text) {
            Some(wrapped) => parse_wrapped(format, &wrapped, depth, sink),
            None => Ok(()),
        };
    };
    if let Some(report) = format.parse_object(&object)? {
        sink(report);
        return Ok(());
    }
    match object.wrapped() {
        Some(wrapped) => parse_wrapped(format, &wrapped, depth, sink),
        None => Ok(()),
    }
}

/// Parses the text inside an object. One broken line does not stop the others.
fn parse_wrapped(
    format: LogFormat,
    wrapped: &str,
    depth: u32,
    sink: &mut dyn FnMut(Observation),
) -> Result<(), ParseError> {
    let mut result = Ok(());
    for line in line::split_lines(wrapped) {
        result = result.and(parse_line(format, line, depth + 1, sink));
    }
    result
}

/// How many lines of a message were read, parsed and broken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LineCounts {
    /// Lines read.
    pub lines: u64,
    /// Lines with at least one observation.
    pub parsed: u64,
    /// Lines of the format that are broken: see [`ParseError`].
    pub failures: u64,
}
