//! The counters of a run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::fold::LineKey;
use crate::fold::progress::percentage_of;
use crate::log_parser::{Counter, CounterKind};
use crate::model::Progress;

/// A counter: its last sample, and the furthest one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::fold) struct Count {
    last: Counter,
    /// The sample with the best percentage since the total changed, because another total means
    /// another bar. `None` if it is the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    furthest: Option<Counter>,
}

impl Count {
    /// The counter after the next sample.
    pub(in crate::fold) fn after(before: Option<Self>, last: Counter) -> Self {
        let same = before.filter(|before| before.last.total == last.total);
        let furthest = same.map(|before| before.furthest.unwrap_or(before.last));
        let furthest = furthest.filter(|furthest| percentage(*furthest) > percentage(last));
        Self { last, furthest }
    }

    /// The last sample.
    pub(in crate::fold) fn last(&self) -> Progress {
        progress(self.last)
    }

    /// The furthest sample.
    pub(in crate::fold) fn furthest(&self) -> Progress {
        progress(self.furthest.unwrap_or(self.last))
    }

    fn is_open(&self) -> bool {
        is_open(self.last)
    }
}

/// The counters of a run, by kind, each with its first sample.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(in crate::fold) struct Counters(BTreeMap<CounterKind, (LineKey, Count)>);

impl Counters {
    pub(in crate::fold) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(in crate::fold) fn add(&mut self, at: LineKey, kind: CounterKind, counter: Counter) {
        let before = self.0.get(&kind);
        let first = before.map_or(at, |(first, _)| *first);
        let count = Count::after(before.map(|(_, count)| *count), counter);
        self.0.insert(kind, (first, count));
    }

    /// Sets the counter that counts because it moved; `None` takes it back. A word that says that
    /// something is progress tells more.
    pub(in crate::fold) fn set_moved(&mut self, moved: Option<(LineKey, Counter)>) {
        match moved {
            Some((first, last)) => {
                let count = Count::after(None, last);
                self.0.insert(CounterKind::Moved, (first, count));
            }
            None => drop(self.0.remove(&CounterKind::Moved)),
        }
    }

    /// The outermost counter: the one with the greatest kind. Exception: an unfinished counter in
    /// brackets is outside of a named counter that started later.
    pub(in crate::fold) fn outermost(&self) -> Option<&Count> {
        let (kind, (first, greatest)) = self.0.last_key_value()?;
        let is_named = matches!(kind, CounterKind::Step | CounterKind::Phase);
        let around = self.0.get(&CounterKind::Bracket);
        let around =
            around.filter(|(before, brackets)| is_named && brackets.is_open() && before < first);
        Some(around.map_or(greatest, |(_, brackets)| brackets))
    }

    /// Whether the run counts its own steps, and some are left.
    pub(in crate::fold) fn has_open_steps(&self) -> bool {
        use CounterKind::{Phase, Report, Step};
        let mut steps = self.0.iter().rev();
        let steps = steps.find(|(kind, _)| matches!(kind, Step | Phase | Report));
        steps.is_some_and(|(_, (_, steps))| steps.is_open())
    }

    /// Whether the outermost counter is one of steps or items, and some are left.
    pub(in crate::fold) fn has_open_items(&self) -> bool {
        let greatest = self.0.last_key_value().map(|(kind, _)| *kind);
        greatest >= Some(CounterKind::Item) && self.is_open()
    }

    /// Whether the outermost counter has work left.
    pub(in crate::fold) fn is_open(&self) -> bool {
        self.outermost().is_some_and(Count::is_open)
    }

    /// Whether a sample shows that the work of the run is not done: it is below 100 %, and no
    /// counter is outside of it.
    pub(in crate::fold) fn is_unfinished(&self, kind: CounterKind, counter: Counter) -> bool {
        let greatest = self.0.last_key_value().map(|(kind, _)| *kind);
        Some(kind) >= greatest && is_open(counter)
    }

    /// Whether a sample shows that the outermost counter goes on.
    pub(in crate::fold) fn is_advanced_by(&self, kind: CounterKind, counter: Counter) -> bool {
        let outermost = self.0.last_key_value().filter(|(known, _)| **known == kind);
        outermost.is_some_and(|(_, (_, count))| {
            count.last.total == counter.total && percentage(counter) > percentage(count.last)
        })
    }

    /// Whether a sample is a further one of a counter of the run, or of one inside of it.
    pub(in crate::fold) fn is_continued_by(&self, kind: CounterKind, counter: Counter) -> bool {
        let greatest = self.0.last_key_value().map(|(kind, _)| *kind);
        let known = self.0.get(&kind);
        Some(kind) < greatest || known.is_some_and(|(_, count)| count.last.total == counter.total)
    }
}

fn is_open(counter: Counter) -> bool {
    percentage(counter) != Some(100)
}

fn progress(counter: Counter) -> Progress {
    Progress {
        current: counter.current,
        total: counter.total,
        percentage: percentage(counter),
    }
}

/// 0 to 100, rounded down: computed from the count, or else the printed percentage.
fn percentage(counter: Counter) -> Option<u8> {
    let counted = counter.current.zip(counter.total);
    let counted = counted.and_then(|(current, total)| percentage_of(current, total));
    counted.or_else(|| counter.percentage.map(|printed| printed.min(100)))
}
