//! A number that may be progress, and the counters found so far.

use crate::log_parser::observation::{Counter, CounterKind, Sample};

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

impl Candidate<'_> {
    /// The clause before the number: what names it.
    pub(super) fn label(&self) -> &str {
        let clause = self.before.rsplit([';', '|', ',']);
        let mut clauses = clause.map(|clause| clause.trim_end_matches([' ', '(', '[', ':']));
        clauses
            .find(|clause| !clause.is_empty())
            .unwrap_or_default()
    }
}

/// A number pair or a percentage with its place in the line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hit {
    pub(super) start: usize,
    pub(super) end: usize,
    /// The numbers.
    pub(super) counter: Counter,
    /// `None` if the text around it does not say that it is progress.
    pub(super) kind: Option<CounterKind>,
}

/// What the numbers of one line tell.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The counters: the last one of each kind.
    pub(super) counters: Vec<(CounterKind, Counter)>,
    /// The first pair that may be a counter, or else the first percentage, if there is none.
    pub(super) sample: Option<Sample>,
}

impl Found {
    pub(super) fn put(&mut self, kind: CounterKind, counter: Counter) {
        match self.counters.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, known)) => *known = counter,
            None => self.counters.push((kind, counter)),
        }
    }
}
