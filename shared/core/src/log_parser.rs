//! Parses log messages into observations. Pure: no I/O, no clock, no state between lines.
//!
//! Each line is parsed on its own. [`fold`](crate::fold) answers every question that needs several
//! lines: which stack a row without a stack name belongs to, which of two counters is the outer
//! one, where a run starts. The result therefore does not depend on the order in which lines
//! arrive.
//!
//! What a line looks like tells its format. The [`LogFormat`] of a log is a hint: it names the task,
//! and tells whose words end a run.
//!
//! A line goes through these steps. Most lines stop at the first:
//! 1. A cheap pre-filter tests whether the line can say anything.
//! 2. Colors, what a terminal erases, and the prefixes of other programs are removed.
//! 3. If the line is JSON, its fields or the message inside are read.
//! 4. The text is read as CDK's, or else as an agent's.
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
mod template;
mod terminal;
pub(crate) mod text;

#[cfg(test)]
mod corpus_tests;
#[cfg(test)]
mod property_tests;

pub(crate) use agent::is_of_platform;
pub(crate) use line::split_lines;

use agent::ObjectContent;
pub use format::{FormatEntry, LogFormat};
pub use observation::{
    AgentObservation, CdkObservation, Counter, CounterKind, EndOf, FailureOf, InRun,
    LambdaObservation, MAX_ITEM_BYTES, MAX_SAMPLES, MAX_TODOS, Need, Observation, Operation,
    Outcome, ParseError, Resource, ResourceState, RowSubject, Sample, Samples, StackState,
    SubagentReport, Todo, TodoEdit, TodoState, Usage, Waiting,
};

use crate::model::TaskType;

/// The table of log formats. CONTRIBUTING.md describes how to add one.
impl LogFormat {
    /// Mostly the output of the CDK command line.
    pub const CDK: Self = Self(&CDK);
    /// Mostly the output of automation agents.
    pub const AGENT: Self = Self(&AGENT);
    /// The output of any command.
    pub const ANY: Self = Self(&ANY);
    /// The formats of log groups, in the order of the options of the command line.
    pub const ALL: [Self; 2] = [Self::CDK, Self::AGENT];
    /// The formats of files, in the order of the options of the command line.
    pub const OF_FILES: [Self; 3] = [Self::ANY, Self::CDK, Self::AGENT];
}

static CDK: FormatEntry = FormatEntry {
    id: "cdk",
    option: "cdk",
    option_help: "Log of the CDK command line: a file, a directory, or `-` for standard input; repeatable",
    file_log_group: "/miyabi/cdk",
    task_type: TaskType::CdkDeploy,
    title: "CDK",
    tools_end_runs: false,
    #[cfg(test)]
    examples: cdk::tests::EXAMPLES,
};

static AGENT: FormatEntry = FormatEntry {
    id: "agent",
    option: "agents",
    option_help: "Log of agents, in JSON or plain text: a file, a directory, or `-` for standard input; repeatable",
    file_log_group: "/miyabi/agents",
    task_type: TaskType::AgentExecution,
    title: "Agent",
    tools_end_runs: true,
    #[cfg(test)]
    examples: agent::tests::EXAMPLES,
};

static ANY: FormatEntry = FormatEntry {
    id: "run",
    option: "log",
    option_help: "Log of any command: a file, a directory, or `-` for standard input; repeatable",
    file_log_group: "/miyabi/runs",
    task_type: TaskType::Other,
    title: "any command",
    tools_end_runs: true,
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

/// The pre-filter: a cheap test whether `line` can say anything. It lets some other lines pass.
fn may_match(line: &str) -> bool {
    cdk::may_match(line) || agent::may_match(line)
}

/// Whether `text`, a line without colours, is of the CDK command line.
pub(crate) fn is_of_cdk(text: &str) -> bool {
    cdk::parse(text).is_ok_and(|line| line.is_some())
}

/// Parses one line that is nested in `depth` JSON objects.
fn parse_line(
    format: LogFormat,
    raw: &str,
    depth: u32,
    sink: &mut dyn FnMut(Observation),
) -> Result<(), ParseError> {
    // A sequence may stand between the parts of a counter, and what it erases does not count.
    let shown = line::has_controls(raw).then(|| line::clean(raw));
    let text = shown.as_deref().unwrap_or(raw);
    let may_be_object = memchr::memchr(b'{', text.as_bytes()).is_some();
    let may_match = may_match(text);
    if !may_be_object && !may_match {
        return Ok(());
    }
    let line = shown.unwrap_or_else(|| line::clean(raw));
    if may_be_object && depth < MAX_DEPTH {
        let text = line::strip_all_prefixes(&line);
        let object = line::strip_word(text).unwrap_or(text);
        if object.starts_with('{') {
            return parse_object(format, object, depth, sink);
        }
    }
    let found = match may_match {
        true => format.parse(&line)?,
        false => None,
    };
    found
        .or_else(|| parse_fields(&line))
        .into_iter()
        .for_each(sink);
    Ok(())
}

/// Reads the counter in the fields that a logger writes after the text of a line:
/// `rows copied {"done": 3, "total": 9}`.
fn parse_fields(line: &str) -> Option<Observation> {
    if !line.ends_with('}') {
        return None;
    }
    let line = line::strip_all_prefixes(line);
    let (text, _) = line.split_once("{\"")?;
    let object = json::parse(line.get(text.len()..)?).ok()?;
    match agent::parse_object(&object).ok()? {
        ObjectContent::Report(report) => match *report {
            Observation::Agent(report) if !report.counters.is_empty() => {
                let message = report.message.or_else(|| text::clip_some(text));
                Some(Observation::Agent(AgentObservation { message, ..report }))
            }
            _ => None,
        },
        ObjectContent::Foreign | ObjectContent::Silent | ObjectContent::Samples(_) => None,
    }
}

/// Parses a line that starts with `{`.
fn parse_object(
    format: LogFormat,
    text: &str,
    depth: u32,
    sink: &mut dyn FnMut(Observation),
) -> Result<(), ParseError> {
    let Ok(object) = json::parse(text) else {
        agent::check_broken_report(text)?;
        return match json::salvage(text) {
            Some(wrapped) => parse_wrapped(format, &wrapped, depth, sink),
            None => Ok(()),
        };
    };
    match (agent::parse_object(&object)?, object.wrapped()) {
        (ObjectContent::Report(report), _) => {
            sink(*report);
            Ok(())
        }
        (ObjectContent::Foreign, Some(wrapped)) => parse_wrapped(format, &wrapped, depth, sink),
        (ObjectContent::Samples(samples), wrapped) => {
            // The text tells more than fields whose names say nothing.
            let mut is_told = false;
            let result = wrapped.map_or(Ok(()), |wrapped| {
                parse_wrapped(format, &wrapped, depth, &mut |observation| {
                    is_told = true;
                    sink(observation);
                })
            });
            if !is_told {
                sink(*samples);
            }
            result
        }
        (ObjectContent::Silent, _) | (ObjectContent::Foreign, None) => Ok(()),
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
