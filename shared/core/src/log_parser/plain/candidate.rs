//! A number that may be progress, and the counters found so far.

use crate::log_parser::observation::{Counter, CounterKind};

/// The text around a number pair or a percentage.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate<'a> {
    /// The end of the text before the first digit.
    pub(super) before: &'a str,
    /// The start of the text after the last digit or the percent sign.
    pub(super) after: &'a str,
    /// Whether `before` is the whole text before the number.
    pub(super) is_near_start: bool,
}

/// The counters of one line: the last one of each kind.
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
