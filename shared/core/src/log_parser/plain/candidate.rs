//! A number that may be progress, and the counters found so far.

use crate::log_parser::observation::{Counter, CounterKind};

/// Numbers with what stands around them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate<'a> {
    /// The text before the first digit, as far as it matters.
    pub(super) before: &'a str,
    /// The text after the last digit or the percent sign, as far as it matters.
    pub(super) after: &'a str,
    /// Whether `before` is all that stands before.
    pub(super) is_near_start: bool,
}

/// The counters of one line: the last of each kind.
#[derive(Debug, Default)]
pub(super) struct Found(pub(super) Vec<(CounterKind, Counter)>);

impl Found {
    pub(super) fn put(&mut self, kind: CounterKind, counter: Counter) {
        match self.0.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, known)) => *known = counter,
            None => self.0.push((kind, counter)),
        }
    }
}
