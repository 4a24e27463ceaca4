//! The facts of a task: a state up to a watermark, and the facts after it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::fact::{Fact, KeyedFact, MOST_CONTEXT};
use super::last_lines::LastLines;
use super::line_key::{LineKey, SessionKey};
use super::pass::Pass;
use super::run::counters::is_open;
use super::run::{LONGEST_SILENCE_MS, Run};
use super::templates::MOST_RISES;
use crate::log_parser::{AgentObservation, Counter, CounterKind, Observation, Sample};
use crate::model::Timestamp;

/// Lines may be late by this many facts, and arrive in any order and any number of times.
pub const LATEST_FACTS: usize = 256;
/// The most facts that are kept. Older ones become part of the state.
pub const MOST_FACTS: usize = 512;
/// The largest log that is stored, in bytes of JSON. It is stored compressed in an item of DynamoDB,
/// which has at most 400 KB
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>). Text
/// without any pattern still shrinks by a sixth, because a byte of it has fewer than 7 bits of
/// information. A state alone may have up to 600 KB, most of it keys, which shrink to a third.
pub(super) const MAX_BYTES: usize = 450_000;
/// The most lines with a bounded time that are remembered after they became part of the state.
const MOST_BOUNDED: usize = 64;
/// Dropping samples never makes a silence longer than this, in milliseconds, so that it can't
/// divide a run.
const LONGEST_THINNED_MS: u64 = LONGEST_SILENCE_MS / 4;

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
    /// The lines after the watermark that may begin a run, whatever they say: the first one that was
    /// read between two facts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    first_lines: Vec<LineKey>,
    /// The last lines of the log.
    #[serde(skip_serializing_if = "LastLines::is_empty")]
    last_lines: LastLines,
    /// The name of the last run that became final. All others have later names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_final: Option<Timestamp>,
}

/// The state of the pass after the facts up to `watermark`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Base {
    watermark: LineKey,
    pass: Pass,
    /// The latest lines whose time was bounded, at most [`MOST_BOUNDED`]. They may come again with
    /// another time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    bounded: Vec<LineKey>,
}

/// What [`FactLog::add`] has changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Added {
    /// The keys of the new facts, in order.
    pub keys: Vec<LineKey>,
    /// Whether something else changed: the state before the watermark, or the time of a fact.
    pub changed_others: bool,
    /// Whether a line came that is one of the last of the log.
    pub has_last_lines: bool,
}

impl Added {
    /// Whether nothing has changed.
    pub fn is_empty(&self) -> bool {
        self.has_no_facts() && !self.has_last_lines
    }

    /// Whether nothing but the last lines of the log has changed.
    pub fn has_no_facts(&self) -> bool {
        self.keys.is_empty() && !self.changed_others
    }
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

    /// The key of the newest fact or line; `None` if there is none.
    pub fn newest(&self) -> Option<LineKey> {
        let last = self.facts.last().map(|(at, _)| *at);
        last.or_else(|| self.watermark())
            .max(self.last_lines.newest())
    }

    /// Adds that nothing follows the last lines of the log, which may be only assumed. Returns that
    /// fact; `None` if there is no fact and no line.
    pub fn end_of_log(&mut self, is_assumed: bool) -> Option<KeyedFact> {
        let newest = self.newest()?;
        match self.runs().last() {
            Some(run) => self.end_of_run(run, is_assumed),
            None => Some(self.end_at(LineKey::after_lines(newest.time()), None, is_assumed)),
        }
    }

    /// Adds that nothing follows the last lines of a run, which is the newest one or a session, or that
    /// this is assumed. Returns that fact; `None` if it is too late for it.
    pub(crate) fn end_of_run(&mut self, run: &Run, is_assumed: bool) -> Option<KeyedFact> {
        let at = match run.session {
            Some(session) => LineKey::after_lines_of(session, run.last_heard().time()),
            None => LineKey::after_lines(self.newest()?.time()),
        };
        (Some(at) > self.watermark()).then(|| self.end_at(at, run.session, is_assumed))
    }

    fn end_at(&mut self, at: LineKey, session: Option<SessionKey>, is_assumed: bool) -> KeyedFact {
        let fact = Fact::EndOfLog {
            last_lines: self.last_lines.of_session(session).into_owned(),
            is_assumed,
        };
        self.add([(at, fact.clone())]);
        (at, fact)
    }

    /// Adds the last lines of the log to exit codes that come after them: they tell why.
    pub(crate) fn explain_exits(&self, facts: &mut [KeyedFact]) {
        for (at, fact) in facts {
            if let Fact::Exit { last_lines, .. } = fact {
                let known = self.last_lines.of_session(at.session());
                if known.newest() < Some(*at) {
                    last_lines.merge(&known);
                }
            }
        }
    }

    /// Adds facts. Of two with the same key, the one that came first is kept. This is fast if they
    /// are in order and later than all others.
    ///
    /// [`Fact::Lines`] is not kept as a fact: it is added to the last lines.
    ///
    /// A fact at or before the watermark changes nothing, with two exceptions: an exit code ends
    /// the current run, and a line before the first one moves the start of the first run. Of two
    /// readings of a line whose time is bounded, the earlier time is kept.
    pub fn add(&mut self, facts: impl IntoIterator<Item = KeyedFact>) -> Added {
        let mut facts: Vec<KeyedFact> = facts.into_iter().collect();
        self.put_in_order(&mut facts);
        self.complete(&mut facts);
        self.insert(facts)
    }

    fn insert(&mut self, facts: Vec<KeyedFact>) -> Added {
        let mut added = Added::default();
        let mut new: Vec<KeyedFact> = Vec::new();
        let is_bounded = |at: &LineKey| at.is_bounded();
        let has_bounded =
            self.keys().any(is_bounded) || facts.iter().map(|(at, _)| at).any(is_bounded);
        let mut readings: BTreeMap<_, LineKey> = match has_bounded {
            true => self.keys().map(|at| (at.line_id(), *at)).collect(),
            false => BTreeMap::new(),
        };
        let mut replaced: BTreeSet<LineKey> = BTreeSet::new();
        let watermark = self.watermark();
        for (at, fact) in facts {
            if let Fact::Lines(lines) = &fact {
                added.has_last_lines |= self.last_lines.merge(lines);
                self.first_lines.push(at);
                continue;
            }
            if has_bounded {
                let known = readings.get(&at.line_id()).copied();
                match known.filter(|known| known.is_bounded() || at.is_bounded()) {
                    Some(known) if known <= at || Some(at) <= watermark => continue,
                    Some(known) => drop(replaced.insert(known)),
                    None => {}
                }
                readings.insert(at.line_id(), at);
            }
            match self.base.as_mut().filter(|base| at <= base.watermark) {
                Some(base) => added.changed_others |= base.pass.add_late(at, &fact),
                None => new.push((at, fact)),
            }
        }
        if !replaced.is_empty() {
            let before = self.facts.len();
            self.facts.retain(|(at, _)| !replaced.contains(at));
            added.changed_others |= self.facts.len() < before;
            new.retain(|(at, _)| !replaced.contains(at));
        }
        new.sort_by_key(|(at, _)| *at);
        new.dedup_by_key(|(at, _)| *at);
        let last = self.facts.last().map(|(at, _)| *at);
        if new.first().is_some_and(|(first, _)| Some(*first) <= last) {
            new.retain(|(at, _)| !self.has(*at));
            added.keys.extend(new.iter().map(|(at, _)| *at));
            self.facts.append(&mut new);
            self.facts.sort_by_key(|(at, _)| *at);
        } else {
            added.keys.extend(new.iter().map(|(at, _)| *at));
            self.facts.append(&mut new);
        }
        self.keep_first_lines();
        added
    }

    /// Lets lines of a session that have the time of their arrival be no later than those of its later
    /// requests that are known: requests may overtake each other.
    fn put_in_order(&self, facts: &mut [KeyedFact]) {
        // The earliest line of the later requests, by request.
        let mut later: BTreeMap<(SessionKey, u32), Option<Timestamp>> = BTreeMap::new();
        let mut put = |at: LineKey| {
            let Some(request) = at.request().filter(|_| at.is_bounded()) else {
                return at;
            };
            let earliest = later.entry(request).or_insert_with(|| {
                let lines = self.last_lines.keys();
                let known = self.facts.iter().map(|(at, _)| *at).chain(lines);
                let (session, number) = request;
                let later = known.filter(|known| {
                    let known = known.request();
                    known.is_some_and(|known| known.0 == session && known.1 > number)
                });
                later.map(LineKey::time).min()
            });
            earliest.map_or(at, |earliest| at.at_time(at.time().min(earliest)))
        };
        for (at, fact) in facts {
            *at = put(*at);
            if let Fact::Lines(lines) = fact {
                lines.change_keys(&mut put);
            }
        }
    }

    /// Adds the last lines that are known to the lines before a failure, if the reading that found the
    /// failure had too few. They are lines of the same run.
    fn complete(&self, facts: &mut [KeyedFact]) {
        let is_short = |fact: &Fact| match fact {
            Fact::Failure { context, .. } => context.len() < MOST_CONTEXT,
            _ => false,
        };
        if self.last_lines.is_empty() || !facts.iter().any(|(_, fact)| is_short(fact)) {
            return;
        }
        let mut later = self.clone();
        later.insert(facts.to_vec());
        let runs = later.runs();
        for (at, fact) in facts {
            let Fact::Failure { context, .. } = fact else {
                continue;
            };
            let mut before = runs.iter().rev().filter(|run| run.start <= *at);
            let run = match at.session() {
                Some(session) => before.find(|run| run.is_in(session)),
                None => before.next(),
            };
            let start = run.map(|run| run.start);
            self.complete_context(*at, start, context);
        }
    }

    fn complete_context(&self, at: LineKey, start: Option<LineKey>, context: &mut Vec<String>) {
        let missing = MOST_CONTEXT.saturating_sub(context.len());
        if missing == 0 {
            return;
        }
        let known = self.last_lines.of_session(at.session()).into_owned();
        let known = start.map_or_else(LastLines::default, |start| known.since(start));
        let mut known = known.before(at, MOST_CONTEXT);
        if context.ends_with(&known) {
            return;
        }
        // Lines are read again.
        let ends_known = |len: &usize| context.get(..*len).is_some_and(|own| known.ends_with(own));
        let overlap = (0..=context.len()).rev().find(ends_known).unwrap_or(0);
        known.truncate(known.len() - overlap);
        known.drain(..known.len().saturating_sub(missing));
        context.splice(0..0, known);
    }

    /// Keeps the lines that may begin a run: of those between two facts, the first.
    fn keep_first_lines(&mut self) {
        let mut first_lines = std::mem::take(&mut self.first_lines);
        first_lines.sort_unstable();
        let watermark = self.watermark();
        for at in first_lines.into_iter().filter(|at| Some(*at) > watermark) {
            let before = self.facts.partition_point(|(known, _)| *known < at);
            let before = before
                .checked_sub(1)
                .and_then(|index| self.facts.get(index));
            let before = before.map(|(known, _)| *known);
            let last = self.first_lines.last().copied();
            if last.is_none() || last <= before {
                self.first_lines.push(at);
            }
        }
    }

    /// The key of the fact of the same line, as far as is remembered.
    pub(crate) fn known_key(&self, at: LineKey) -> Option<LineKey> {
        let mut keys = self.keys().copied();
        keys.find(|known| known.line_id() == at.line_id())
    }

    /// Whether there is a fact with this key after the watermark.
    fn has(&self, key: LineKey) -> bool {
        self.facts.binary_search_by_key(&key, |(at, _)| *at).is_ok()
    }

    /// The facts with these keys, in the order of the keys.
    pub fn facts_at(&self, keys: &[LineKey]) -> Vec<KeyedFact> {
        let index = |key: &LineKey| self.facts.binary_search_by_key(key, |(at, _)| *at);
        let facts = keys
            .iter()
            .filter_map(|key| self.facts.get(index(key).ok()?));
        facts.cloned().collect()
    }

    /// The keys of the facts after the watermark, and of the remembered ones before it.
    fn keys(&self) -> impl Iterator<Item = &LineKey> {
        let remembered = self.base.iter().flat_map(|base| &base.bounded);
        remembered.chain(self.facts.iter().map(|(at, _)| at))
    }

    /// Makes the log small, so that it can be stored: keeps the newest `latest` facts as they are,
    /// drops samples before them that change nothing, and keeps at most `most` facts. Older ones
    /// become part of the state. Returns the runs that have thereby become final.
    pub fn compact(&mut self, latest: usize, most: usize) -> Vec<Run> {
        self.thin(self.facts.len().saturating_sub(latest));
        let surplus = self.facts.len().saturating_sub(most.max(latest));
        self.settle(surplus)
    }

    /// Makes the log small enough for an item of DynamoDB. Only hostile logs lose facts that may
    /// still be out of order. Returns the runs that have thereby become final.
    pub fn make_storable(&mut self) -> Vec<Run> {
        let mut settled = self.compact(LATEST_FACTS, MOST_FACTS);
        while serde_json::to_vec(self).is_ok_and(|json| json.len() > MAX_BYTES) {
            let most = self.facts.len() / 2;
            if most == 0 {
                break;
            }
            settled.append(&mut self.compact(most, most));
        }
        while let Some(base) = self.base.as_mut().filter(|base| base.pass.has_waiting())
            && serde_json::to_vec(base).is_ok_and(|json| json.len() > MAX_BYTES)
        {
            base.pass.give_up_first();
            settled.extend(base.pass.take_earlier());
        }
        settled
    }

    /// Makes all facts up to `watermark` part of the state. Returns the runs that have thereby
    /// become final.
    pub fn settle_up_to(&mut self, watermark: LineKey) -> Vec<Run> {
        let settled = self.facts.partition_point(|(at, _)| *at <= watermark);
        self.settle(settled)
    }

    /// Makes the oldest `count` facts part of the state.
    fn settle(&mut self, count: usize) -> Vec<Run> {
        let Some(&(watermark, _)) = self.facts[..count].last() else {
            return Vec::new();
        };
        let (mut pass, mut bounded) = match self.base.take() {
            Some(base) => (base.pass, base.bounded),
            None => (Pass::default(), Vec::new()),
        };
        let heard = self.first_lines.partition_point(|at| *at <= watermark);
        let first_lines: Vec<LineKey> = self.first_lines.drain(..heard).collect();
        let settled: Vec<KeyedFact> = self.facts.drain(..count).collect();
        pass.go_over(&first_lines, &settled);
        let keys = settled.into_iter().map(|(at, _)| at);
        bounded.extend(keys.filter(|at| at.is_bounded()));
        bounded.drain(..bounded.len().saturating_sub(MOST_BOUNDED));
        let earlier = pass.take_earlier();
        self.base = Some(Box::new(Base {
            watermark,
            pass,
            bounded,
        }));
        earlier
    }

    /// The state after all facts.
    fn pass(&self) -> Pass {
        let base = self.base.as_ref();
        let mut pass = base.map(|base| base.pass.clone()).unwrap_or_default();
        pass.go_over(&self.first_lines, &self.facts);
        pass.hear_last(&self.last_lines);
        pass
    }

    /// The runs, in order: those that began after the watermark, and those that could still change
    /// there.
    pub fn runs(&self) -> Vec<Run> {
        self.pass().into_runs()
    }

    /// Drops samples that lie between two others of a rising counter, if all three are among the
    /// first `most` facts: no late fact will come between them. Of a number pair that may be a
    /// counter, the first ones stay, because they tell whether it is one.
    fn thin(&mut self, most: usize) {
        let mut before: Option<usize> = None;
        // How often the samples of a template have risen one after another up to `before`.
        let mut rises: u8 = 0;
        let is_near = |before: &KeyedFact, after: &KeyedFact| {
            let is_same = before.0.session() == after.0.session();
            is_same && after.0.time().millis_since(before.0.time()) <= LONGEST_THINNED_MS
        };
        let is_dropped = (0..self.facts.len()).map(|index| {
            let fact = &self.facts[index];
            let before_it = before.map(|before| &self.facts[before]);
            let is_rise =
                before_it.is_some_and(|before| is_near(before, fact) && has_moved(before, fact));
            let between = before_it
                .zip(self.facts.get(index + 1))
                .filter(|_| index + 1 < most);
            let is_dropped = between.is_some_and(|(before, after)| {
                let is_known = rises >= MOST_RISES && is_rise && has_moved(fact, after);
                let is_among = is_near(before, fact) && is_near(before, after);
                is_among && (is_known || is_rising([before, fact, after]))
            });
            if !is_dropped {
                before = Some(index);
                rises = if is_rise { rises.saturating_add(1) } else { 0 };
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

/// Whether the facts are samples of the same templates, and all have risen.
fn has_moved((_, before): &KeyedFact, (_, after): &KeyedFact) -> bool {
    let (Some(before), Some(after)) = (samples(before), samples(after)) else {
        return false;
    };
    let is_next = |(before, after): (&Sample, &Sample)| {
        before.template == after.template && before.current < after.current
    };
    before.len() == after.len() && before.iter().zip(after).all(is_next)
}

/// The number pairs in a line that may count.
fn samples(fact: &Fact) -> Option<&[Sample]> {
    match fact {
        Fact::Line(line) => match line.as_ref() {
            Observation::Samples(line) => Some(&line.samples),
            _ => None,
        },
        _ => None,
    }
}

/// Whether the facts are samples of one counter with the same total, and none is below the one
/// before. The second is not full: since when a counter is full matters.
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
    is_next(one, two) && is_next(two, three) && is_open(two.1)
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
        waiting: None,
        todo_edits,
        parts,
        end_of: _,
        message: _,
    }) = line.as_ref()
    else {
        return None;
    };
    match counters.as_slice() {
        [sample] if todos.is_empty() && todo_edits.is_empty() && parts.is_empty() => Some(*sample),
        _ => None,
    }
}
