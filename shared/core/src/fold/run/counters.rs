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
    /// The line of the last sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<LineKey>,
    /// The line since which it is full; `None` if it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    full_at: Option<LineKey>,
    /// How often it began again.
    #[serde(default, skip_serializing_if = "is_zero")]
    restarts: u32,
    /// The bar of the same kind that was drawn before it or beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    other: Option<OtherBar>,
}

/// A bar with another total than the one that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct OtherBar {
    first: LineKey,
    last: Counter,
    #[serde(default, skip_serializing_if = "is_zero")]
    restarts: u32,
    /// Whether the two are drawn in turns. Else one came after the other.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_beside: bool,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Count {
    /// The counter after the next sample.
    pub(in crate::fold) fn after(before: Option<Self>, last: Counter) -> Self {
        let same = before.filter(|before| before.last.total == last.total);
        let is_again = same.is_some_and(|before| is_next_phase(before.last, last));
        let furthest = same.map(|before| before.furthest.unwrap_or(before.last));
        let furthest =
            furthest.filter(|furthest| !is_again && percentage(*furthest) > percentage(last));
        let fell = same.is_some_and(|before| before.last.current > last.current);
        Self {
            last,
            furthest,
            at: None,
            full_at: None,
            restarts: same.map_or(0, |before| before.restarts.saturating_add(fell.into())),
            other: before.and_then(|before| before.other),
        }
    }

    /// The counter after the next sample, which is at `at`.
    fn after_line(before: Option<Self>, at: LineKey, last: Counter) -> Self {
        let full_at = before.and_then(|before| before.full_at).unwrap_or(at);
        Self {
            at: Some(at),
            full_at: (!is_open(last)).then_some(full_at),
            ..Self::after(before, last)
        }
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
        let next = match self.0.get(&kind) {
            Some((first, count)) if kind == CounterKind::Bar => bars(*first, *count, at, counter),
            Some((first, count)) => (*first, Count::after_line(Some(*count), at, counter)),
            None => (at, Count::after_line(None, at, counter)),
        };
        self.0.insert(kind, next);
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

    /// The outermost counter: the one with the greatest kind. Exceptions: an unfinished counter in
    /// brackets is outside of a named counter that started later; and the counter of a phase that is
    /// over gives way to one that began after it.
    pub(in crate::fold) fn outermost(&self) -> Option<&Count> {
        let mut by_kind = self.0.iter().rev();
        // One of one tells less than any other counter.
        let is_telling = |(_, (_, count)): &(_, &(_, Count))| count.last.total != Some(1);
        let telling = by_kind.find(is_telling);
        let (kind, (first, greatest)) = telling.or_else(|| self.0.last_key_value())?;
        let is_named = matches!(kind, CounterKind::Step | CounterKind::Phase);
        let around = self.0.get(&CounterKind::Bracket);
        let around =
            around.filter(|(before, brackets)| is_named && brackets.is_open() && before < first);
        let is_phase = matches!(kind, CounterKind::Bracket | CounterKind::Item);
        let full_at = greatest.full_at.filter(|_| is_phase);
        let next = full_at.and_then(|full_at| {
            let mut others = self.0.iter().rev().skip(1);
            let next = others.find(|(kind, (first, _))| {
                matches!(kind, CounterKind::Item | CounterKind::Bar) && *first > full_at
            });
            next.map(|(_, (_, count))| count)
        });
        Some(
            next.or(around.map(|(_, brackets)| brackets))
                .unwrap_or(greatest),
        )
    }

    /// Whether the outermost counter is full and nothing inside of it is open. The last step of a
    /// named counter is full from its start.
    pub(in crate::fold) fn are_done(&self) -> bool {
        let Some(outermost) = self.outermost() else {
            return false;
        };
        let is_begun_later = |count: &Count| count.at >= outermost.full_at;
        let mut inner = self.0.iter().rev().skip(1);
        let greatest = self.0.last_key_value().map(|(kind, _)| *kind);
        let is_named = matches!(greatest, Some(CounterKind::Step | CounterKind::Phase));
        let has_open_part =
            is_named && inner.any(|(_, (_, count))| count.is_open() && is_begun_later(count));
        !outermost.is_open() && !has_open_part
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
        let is_of = |count: &Count| {
            let other = count.other.map(|other| other.last.total);
            count.last.total == counter.total || other == Some(counter.total)
        };
        Some(kind) < greatest || known.is_some_and(|(_, count)| is_of(count))
    }
}

/// The bar that counts, with its first sample, after the next sample of any bar.
///
/// Bars after each other are phases: the last one counts. Of bars that are drawn in turns, the
/// outer one counts: the one that began again less often, and of those the first.
fn bars(first: LineKey, count: Count, at: LineKey, counter: Counter) -> (LineKey, Count) {
    if count.last.total == counter.total {
        return outer_bar(first, Count::after_line(Some(count), at, counter));
    }
    let goes_on =
        |bar: &OtherBar| bar.last.total == counter.total && bar.last.current <= counter.current;
    match count.other {
        Some(other) if goes_on(&other) && is_open(other.last) => {
            let other = Some(OtherBar {
                last: counter,
                is_beside: true,
                ..other
            });
            outer_bar(first, Count { other, ..count })
        }
        // The inner bar of the next part may have another total.
        Some(other) if other.is_beside && count.is_open() => {
            let other = Some(OtherBar {
                last: counter,
                restarts: other.restarts.saturating_add(1),
                ..other
            });
            (first, Count { other, ..count })
        }
        _ => {
            let other = Some(OtherBar {
                first,
                last: count.last,
                restarts: count.restarts,
                is_beside: false,
            });
            let next = Count::after_line(None, at, counter);
            (at, Count { other, ..next })
        }
    }
}

/// The outer one of two bars that are drawn in turns.
fn outer_bar(first: LineKey, count: Count) -> (LineKey, Count) {
    match count.other {
        Some(other)
            if other.is_beside && (other.restarts, other.first) < (count.restarts, first) =>
        {
            let inner = OtherBar {
                first,
                last: count.last,
                restarts: count.restarts,
                is_beside: true,
            };
            let at = count.at.unwrap_or(first);
            let outer = Count::after_line(None, at, other.last);
            let outer = Count {
                restarts: other.restarts,
                other: Some(inner),
                ..outer
            };
            (other.first, outer)
        }
        _ => (first, count),
    }
}

/// Whether a percentage without a count is that of the next phase: it was nearly full, and begins
/// again.
fn is_next_phase(before: Counter, next: Counter) -> bool {
    const NEARLY_FULL: u8 = 95;
    const EARLY: u8 = 25;
    before.total.is_none()
        && next.total.is_none()
        && before.percentage >= Some(NEARLY_FULL)
        && next.percentage.is_some_and(|next| next <= EARLY)
}

/// Whether something is left of a counter.
pub(in crate::fold) fn is_open(counter: Counter) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;
    use CounterKind::{Bar, Bracket, Item, Percent, Phase};

    fn counters(samples: &[(CounterKind, u64, u64)]) -> Counters {
        let mut counters = Counters::default();
        for (time, (kind, current, total)) in (0..).zip(samples) {
            let counter = match kind {
                Percent => Counter {
                    current: None,
                    total: None,
                    percentage: u8::try_from(*current).ok(),
                },
                _ => Counter {
                    current: Some(*current),
                    total: Some(*total),
                    percentage: None,
                },
            };
            let at = LineKey::outside_logs(Timestamp::from_millis(time));
            counters.add(at, *kind, counter);
        }
        counters
    }

    #[track_caller]
    fn check(samples: &[(CounterKind, u64, u64)], current: u64, total: u64) {
        let counters = counters(samples);
        let last = counters.outermost().unwrap().last();
        assert_eq!(
            (last.current, last.total),
            (Some(current), Some(total)),
            "{samples:?}"
        );
    }

    #[test]
    fn of_two_bars_drawn_in_turns_the_first_counts() {
        let samples = [(Bar, 0, 60), (Bar, 0, 20), (Bar, 3, 60), (Bar, 1, 20)];
        check(&samples, 3, 60);
        check(&samples[..2], 0, 20);
    }

    #[test]
    fn of_two_bars_the_outer_one_does_not_begin_again() {
        let rounds =
            (1..=3).flat_map(|round| [(Bar, 12, 25), (Bar, 25, 25), (Bar, round, 4), (Bar, 1, 25)]);
        check(&rounds.collect::<Vec<_>>(), 3, 4);
        // The inner bars differ.
        let parts = [
            (Bar, 0, 4),
            (Bar, 1, 9),
            (Bar, 0, 4),
            (Bar, 9, 9),
            (Bar, 1, 4),
        ];
        check(&[&parts[..], &[(Bar, 1, 7), (Bar, 3, 7)]].concat(), 1, 4);
    }

    #[test]
    fn of_bars_after_each_other_the_last_one_counts() {
        check(
            &[(Bar, 1, 60), (Bar, 60, 60), (Bar, 1, 20), (Bar, 20, 20)],
            20,
            20,
        );
        let again = [(Bar, 60, 60), (Bar, 20, 20), (Bar, 1, 60)];
        check(&again, 1, 60);
    }

    #[test]
    fn the_counter_of_a_phase_that_is_over_gives_way_to_a_later_one() {
        check(&[(Bracket, 11, 12), (Bracket, 12, 12), (Item, 1, 6)], 1, 6);
        check(
            &[(Item, 1, 6), (Bracket, 11, 12), (Bracket, 12, 12)],
            12,
            12,
        );
        check(&[(Bracket, 11, 12), (Item, 1, 6)], 11, 12);
        // The last step is full from its start.
        check(&[(Phase, 3, 3), (Item, 1, 6)], 3, 3);
    }

    #[test]
    fn one_of_one_gives_way_to_any_other_counter() {
        let shown = |samples: &[_]| counters(samples).outermost().unwrap().last();
        let shown = shown(&[(Item, 1, 1), (Percent, 61, 0)]);
        assert_eq!((shown.total, shown.percentage), (None, Some(61)));
        check(&[(Item, 1, 1)], 1, 1);
    }

    #[test]
    fn the_last_step_is_done_when_its_own_bar_is() {
        assert!(!counters(&[(Phase, 3, 3), (Bar, 0, 20)]).are_done());
        assert!(counters(&[(Phase, 3, 3), (Bar, 20, 20)]).are_done());
        assert!(counters(&[(Bar, 5, 20), (Phase, 3, 3)]).are_done());
        assert!(!counters(&[(Bar, 5, 20)]).are_done());
        assert!(!Counters::default().are_done());
    }

    #[test]
    fn a_percentage_that_begins_again_is_that_of_the_next_phase() {
        let furthest = |samples: &[_]| counters(samples).outermost().unwrap().furthest().percentage;
        assert_eq!(furthest(&[(Percent, 99, 0), (Percent, 14, 0)]), Some(14));
        assert_eq!(furthest(&[(Percent, 60, 0), (Percent, 14, 0)]), Some(60));
    }
}
