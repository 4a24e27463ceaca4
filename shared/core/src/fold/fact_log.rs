//! The facts of a task: a state up to a watermark, and the facts after it.

use serde::{Deserialize, Serialize};

use super::LineKey;
use super::fact::Fact;
use super::pass::Pass;
use super::run::{LONGEST_SILENCE_MS, Run};
use crate::log_parser::{AgentObservation, Counter, CounterKind, Observation};

/// Lines may be late by this many facts, and arrive in any order and any number of times.
pub const LATEST_FACTS: usize = 256;
/// The most facts that are kept. Older ones become part of the state.
pub const MOST_FACTS: usize = 512;
/// Dropping samples never makes a silence longer than this, in milliseconds, so that it can't
/// divide a run.
const LONGEST_THINNED_MS: u64 = LONGEST_SILENCE_MS / 4;

/// A fact and the key of its line.
pub type KeyedFact = (LineKey, Fact);

/// Facts in order and without repetitions, and the state that older ones have left.
///
/// * **Property 1.** Facts may be added in any order, any number of times and in any portions. The
///   runs are those of one pass over all facts, if each fact is added while the watermark is before
///   it. The watermark is before the latest [`LATEST_FACTS`].
/// * **Property 2.** Facts at or before the watermark change nothing, but for those that
///   [`FactLog::add`] names. So they never lead back to an earlier run or to an earlier state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FactLog {
    /// The state after the facts up to the watermark.
    #[serde(skip_serializing_if = "Option::is_none")]
    base: Option<Box<Base>>,
    /// The facts after the watermark.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    facts: Vec<KeyedFact>,
}

/// The state of the pass after the facts up to `watermark`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Base {
    watermark: LineKey,
    pass: Pass,
}

impl FactLog {
    /// The facts after the watermark, in order.
    pub fn facts(&self) -> &[KeyedFact] {
        &self.facts
    }

    /// See [`Self::facts`].
    pub fn into_facts(self) -> Vec<KeyedFact> {
        self.facts
    }

    /// The key of the newest fact that became part of the state; `None` if none did.
    pub fn watermark(&self) -> Option<LineKey> {
        self.base.as_ref().map(|base| base.watermark)
    }

    /// Adds facts. Of two with the same key, the one that came first is kept. This is fast if they
    /// are in order and later than all others.
    ///
    /// A fact at or before the watermark changes nothing, with two exceptions: an exit code ends
    /// the current run, and a line before the first one moves the start of the first run.
    pub fn add(&mut self, facts: impl IntoIterator<Item = KeyedFact>) {
        let mut are_in_order = true;
        for (at, fact) in facts {
            if let Some(base) = self.base.as_mut().filter(|base| at <= base.watermark) {
                base.pass.add_late(at, &fact);
                continue;
            }
            are_in_order &= self.facts.last().is_none_or(|(last, _)| *last < at);
            self.facts.push((at, fact));
        }
        if !are_in_order {
            self.facts.sort_by_key(|(at, _)| *at);
            self.facts.dedup_by_key(|(at, _)| *at);
        }
    }

    /// Makes the log small, so that it can be stored: keeps the newest `latest` facts as they are,
    /// drops samples before them that change nothing, and keeps at most `most` facts. Older ones
    /// become part of the state.
    pub fn compact(&mut self, latest: usize, most: usize) {
        self.thin(self.facts.len().saturating_sub(latest));
        let surplus = self.facts.len().saturating_sub(most.max(latest));
        let Some(&(watermark, _)) = self.facts[..surplus].last() else {
            return;
        };
        let mut pass = match self.base.take() {
            Some(base) => base.pass,
            None => Pass::default(),
        };
        for (at, fact) in self.facts.drain(..surplus) {
            pass.step(at, &fact);
        }
        self.base = Some(Box::new(Base { watermark, pass }));
    }

    /// The state after all facts.
    pub(super) fn pass(&self) -> Pass {
        let base = self.base.as_ref();
        let mut pass = base.map(|base| base.pass.clone()).unwrap_or_default();
        for (at, fact) in &self.facts {
            pass.step(*at, fact);
        }
        pass
    }

    /// The runs, in order: those that began after the watermark, and the one that was current
    /// there.
    pub fn runs(&self) -> Vec<Run> {
        let pass = self.pass();
        let runs = pass.earlier.into_iter().chain(pass.run);
        runs.filter(Run::is_shown).collect()
    }

    /// Drops samples that lie between two others of a rising counter, if all three are among the
    /// first `most` facts: no late fact will come between them.
    fn thin(&mut self, most: usize) {
        let mut before: Option<usize> = None;
        let is_dropped = (0..self.facts.len()).map(|index| {
            let between = before
                .zip(self.facts.get(index + 1))
                .filter(|_| index + 1 < most);
            let is_dropped = between.is_some_and(|(before, after)| {
                let before = &self.facts[before];
                after.0.time().millis_since(before.0.time()) <= LONGEST_THINNED_MS
                    && is_rising([before, &self.facts[index], after])
            });
            if !is_dropped {
                before = Some(index);
            }
            is_dropped
        });
        let mut is_dropped = is_dropped.collect::<Vec<_>>().into_iter();
        self.facts.retain(|_| is_dropped.next() != Some(true));
    }
}

impl FromIterator<KeyedFact> for FactLog {
    fn from_iter<T: IntoIterator<Item = KeyedFact>>(facts: T) -> Self {
        let mut log = Self::default();
        log.add(facts);
        log
    }
}

/// Whether the facts are samples of one counter with the same total, and none is below the one
/// before.
fn is_rising(facts: [&KeyedFact; 3]) -> bool {
    let [Some(one), Some(two), Some(three)] = facts.map(|(_, fact)| sample(fact)) else {
        return false;
    };
    let is_next = |(kind, one): (CounterKind, Counter),
                   (next_kind, next): (CounterKind, Counter)| {
        (kind, one.total) == (next_kind, next.total)
            && one.current <= next.current
            && one.percentage <= next.percentage
    };
    is_next(one, two) && is_next(two, three)
}

/// The sample in a line that has nothing else to say but a message.
fn sample(fact: &Fact) -> Option<(CounterKind, Counter)> {
    let Fact::Line(line) = fact else {
        return None;
    };
    let Observation::Agent(AgentObservation {
        counters,
        todos,
        task_id: None,
        project_id: None,
        status: None,
        is_start: false,
        phase: None,
        current_step: None,
        usage: None,
        end_of: _,
        message: _,
    }) = line.as_ref()
    else {
        return None;
    };
    match counters.as_slice() {
        [sample] if todos.is_empty() => Some(*sample),
        _ => None,
    }
}
