//! Finds counters and ends in the plain text of build tools, trainers, test runners and scripts.
//!
//! A number pair or a percentage is progress only in a known context: after a word (`Step 3/10`),
//! in brackets at the start of the line (`[3/10]`), beside a bar, and so on. Dates, disk usage and
//! the like are not progress. Any other pair may be a counter, and is one once it moves. A pair and a percentage that agree are one counter. A line is an end only if it is about the whole run.

mod bar;
mod candidate;
mod end;
pub(super) mod languages;
mod number;
mod pair;
mod percent;
pub(super) mod sample;
mod scan;
pub(super) mod words;

use std::sync::LazyLock;

use regex::Regex;

use super::observation::{AgentObservation, Counter, CounterKind, EndOf, Observation, Samples};
use super::text::clip_some;
use crate::model::TaskStatus;
use candidate::Found;

/// Every line that this module reads matches this pattern.
static HINT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(&format!(
        concat!(
            r"[0-9０-９]\s?(?:%|％|percent|per cent|Prozent|pour cent|por cient|por cento|パーセント)",
            r"|[0-9０-９]\)?\s{{0,12}}[/／⁄∕]\s{{0,12}}[0-9０-９]",
            r"|[0-9０-９]\s+(?:of|out of|von|van|de|sur|di|из)\s+[0-9０-９]",
            r"|[0-9０-９][^0-9]{{0,5}}[中중]|{}|{}",
        ),
        end::HINT,
        languages::END_HINT
    ))
    .expect("the pattern is a constant")
});

/// The pre-filter: whether this module may read something from `line`. It lets some other lines
/// pass.
pub(super) fn may_match(line: &str) -> bool {
    HINT.is_match(line)
}

/// Whether a counter is the first one of a run.
pub(super) fn is_first(counter: &Counter) -> bool {
    match (counter.current, counter.total) {
        (Some(0 | 1), Some(total)) => total > 1,
        (None, _) => counter.percentage == Some(0),
        _ => false,
    }
}

/// Parses a line without prefixes.
pub(super) fn parse(line: &str) -> Option<Observation> {
    if !may_match(line) {
        return None;
    }
    observe(line, end::parse(line))
}

/// [`parse`] without pairs that may be a counter.
pub(super) fn parse_sure(line: &str) -> Option<AgentObservation> {
    match parse(line)? {
        Observation::Agent(found) => Some(found),
        _ => None,
    }
}

/// Parses a line without prefixes and without the pre-filters.
#[cfg(test)]
pub(super) fn parse_unfiltered(line: &str) -> Option<Observation> {
    observe(line, end::parse_unfiltered(line))
}

/// Returns what `line` reports, given the `end` found in it.
fn observe(line: &str, end: Option<end::End>) -> Option<Observation> {
    if is_cdk(line) {
        return None;
    }
    let Found { counters, sample } = scan::counters(line);
    let status = end.map(|end| end.status);
    if counters.is_empty() && status.is_none() {
        return Some(Observation::Samples(Samples::new(vec![sample?], line)));
    }
    let outer = counters.iter().max_by_key(|(kind, _)| *kind);
    let is_start = status.is_none()
        && outer.is_some_and(|(kind, counter)| {
            // An inner bar restarts in each step.
            *kind != CounterKind::InnerBar && is_first(counter)
        });
    Some(Observation::Agent(AgentObservation {
        counters,
        status,
        is_start,
        end_of: end.map(|end| end.of).unwrap_or_default(),
        message: clip_some(line),
        ..AgentObservation::default()
    }))
}

/// The terminal status that `line` without prefixes reports, and what it is about.
pub(crate) fn reported_end(line: &str) -> Option<(TaskStatus, EndOf)> {
    end::parse(line).map(|end| (end.status, end.of))
}

/// How far the outer counter of `line` without prefixes is, in percent.
pub(crate) fn outer_percentage(line: &str) -> Option<u64> {
    let counters = scan::counters(line).counters;
    let (_, outer) = counters.iter().max_by_key(|(kind, _)| *kind)?;
    match (outer.current, outer.total) {
        (Some(current), Some(total)) => current.saturating_mul(100).checked_div(total),
        _ => outer.percentage.map(u64::from),
    }
}

/// Whether `line` is of CDK, which counts stacks and assets, not the steps of an agent.
fn is_cdk(line: &str) -> bool {
    line.contains(": deploying... [") || line.contains(": destroying... [") || is_asset(line)
}

/// Whether `line` is about an asset of CDK: `[33%] success: Published …`.
fn is_asset(line: &str) -> bool {
    const EVENTS: [&str; 9] = [
        "start:", "success:", "check:", "cached:", "found:", "build:", "upload:", "fail:", "debug:",
    ];
    line.strip_prefix('[')
        .and_then(|rest| rest.split_once("%] "))
        .is_some_and(|(_, event)| EVENTS.iter().any(|start| event.starts_with(start)))
}

#[cfg(test)]
mod tests;
