//! Log messages in, observations out. Pure: no I/O, no clock, no memory between lines.
//!
//! An observation is taken from its line alone. Whatever needs other lines is settled in [`fold`](crate::fold),
//! from all lines at once: which stack a row without a stack name belongs to, which of two counters is the
//! outer one, where a run begins. So the order in which lines arrive can't matter.
//!
//! A line goes through these steps, and most lines leave at the first:
//! 1. A cheap test whether the line can hold anything of its [`LogFormat`].
//! 2. Remove colours, and prefixes of other programs.
//! 3. If the line is JSON, read its fields or the message inside.
//! 4. Parse the text by its format.
//!
//! The cost is linear in the length of the message.

mod agent;
mod cdk;
mod format;
mod json;
mod line;
mod observation;
mod plain;
#[cfg(any(test, feature = "properties"))]
pub mod properties;
mod text;

#[cfg(test)]
mod corpus_tests;
#[cfg(test)]
mod property_tests;

pub use format::{FormatEntry, LogFormat};
pub use observation::{
    AgentObservation, CdkObservation, Counter, CounterKind, EndOf, InRun, Observation, Operation,
    Outcome, ParseError, StackState,
};

/// Objects are wrapped in objects by a few programs, not by many.
const MAX_DEPTH: u32 = 4;

/// Parses a log event's message, line by line, and hands each observation to `sink` with the number of its
/// line (from 0). Most lines say nothing of progress and yield nothing.
///
/// Returns how many lines were read and how many of them were ours but broken.
pub fn parse_message(
    format: LogFormat,
    message: &str,
    sink: &mut dyn FnMut(u32, Observation),
) -> LineCounts {
    let mut counts = LineCounts::default();
    for line in line::split_lines(message) {
        let number = u32::try_from(counts.lines).unwrap_or(u32::MAX);
        let mut parsed = 0;
        let result = parse_line(format, line, 0, &mut |observation| {
            parsed += 1;
            sink(number, observation);
        });
        counts.lines += 1;
        counts.parsed += u64::from(parsed > 0);
        counts.failures += u64::from(result.is_err());
    }
    counts
}

/// Parses one line, inside `depth` objects.
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

/// Parses a line that begins with `{`.
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

/// Parses the text of an object. One broken line in it doesn't hide the others.
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

/// What became of the lines of a message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LineCounts {
    /// Lines read.
    pub lines: u64,
    /// Lines that said something of progress.
    pub parsed: u64,
    /// Lines that were ours but broken.
    pub failures: u64,
}
