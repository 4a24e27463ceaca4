//! Counters and ends in the plain text of build tools, trainers, test runners and scripts.
//!
//! A number pair or a percentage is progress only where its surroundings say so: a word before it (`Step 3/10`),
//! brackets at the start of the line (`[3/10]`), a bar beside it, and so on. Everything else, from dates to disk
//! usage, is not. Likewise a line is an end only if it speaks of the whole run.

mod end;
mod pair;
mod percent;
mod scan;
mod words;

use std::sync::LazyLock;

use regex::Regex;

use super::observation::{AgentObservation, Counter, CounterKind};
use super::text::clip_some;

/// What every line of ours holds one of.
static HINT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(&format!(
        r"[0-9] ?%|[0-9] ?/ ?[0-9]|[0-9] (?:out )?of [0-9]|[0-9]\) ?/ ?[0-9]|{}",
        end::HINT
    ))
    .expect("the pattern is a constant")
});

/// Whether `line` can be one of ours: a cheap test that lets some others pass.
pub(super) fn may_match(line: &str) -> bool {
    HINT.is_match(line)
}

/// Whether a counter is the first of a run.
pub(super) fn is_first(counter: &Counter) -> bool {
    match (counter.current, counter.total) {
        (Some(0 | 1), Some(total)) => total > 1,
        (None, _) => counter.percentage == Some(0),
        _ => false,
    }
}

/// The counters of one line: the last of each kind.
#[derive(Debug, Default)]
struct Found(Vec<(CounterKind, Counter)>);

impl Found {
    fn put(&mut self, kind: CounterKind, counter: Counter) {
        match self.0.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, known)) => *known = counter,
            None => self.0.push((kind, counter)),
        }
    }
}

/// Parses a line without prefixes.
pub(super) fn parse(line: &str) -> Option<AgentObservation> {
    if !may_match(line) || is_cdk(line) {
        return None;
    }
    let counters = scan::counters(line).0;
    let end = end::parse(line);
    let status = end.map(|end| end.status);
    if counters.is_empty() && status.is_none() {
        return None;
    }
    let outer = counters.iter().max_by_key(|(kind, _)| *kind);
    let is_start = status.is_none()
        && outer.is_some_and(|(kind, counter)| {
            // An inner bar begins again with each step.
            *kind != CounterKind::InnerBar && is_first(counter)
        });
    Some(AgentObservation {
        counters,
        status,
        is_start,
        end_of: end.map(|end| end.of).unwrap_or_default(),
        message: clip_some(line),
        ..AgentObservation::default()
    })
}

/// Lines of CDK count stacks and assets, not the steps of an agent.
fn is_cdk(line: &str) -> bool {
    line.contains(": deploying... [") || line.contains(": destroying... [") || is_asset(line)
}

/// `[33%] success: Published …`
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
