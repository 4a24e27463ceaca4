//! One counter over time: its last value and the best percentage it reached.

use serde::{Deserialize, Serialize};

use super::LineKey;
use crate::log_parser::Counter;
use crate::model::Progress;

/// The samples of one counter that still matter. This is a function of the set of samples.
///
/// The best percentage restarts when the total changes, because another total means another bar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CounterTrack {
    /// The key of the first sample.
    first: LineKey,
    /// The key of the last sample.
    at: LineKey,
    /// The key of the last sample below 100 %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    open: Option<LineKey>,
    /// The last sample.
    last: Counter,
    /// The key of the last sample with another total than the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    changed: Option<LineKey>,
    /// The samples after `changed` that no later sample reaches. Keys rise, percentages fall.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    best: Vec<(LineKey, u8)>,
}

impl CounterTrack {
    pub(super) fn new(at: LineKey, counter: Counter) -> Self {
        let percentage = percentage(counter);
        let best = percentage.map(|percentage| (at, percentage));
        Self {
            first: at,
            at,
            open: (percentage != Some(100)).then_some(at),
            last: counter,
            changed: None,
            best: best.into_iter().collect(),
        }
    }

    /// Adds a sample.
    pub(super) fn add(&mut self, at: LineKey, counter: Counter) {
        if at <= self.at || counter.total != self.last.total {
            return self.merge(&Self::new(at, counter));
        }
        // The common case, a later sample with the same total: the same result as `merge`, without
        // a copy.
        let percentage = percentage(counter);
        if percentage != Some(100) {
            self.open = Some(at);
        }
        if let Some(percentage) = percentage {
            while self.best.pop_if(|(_, best)| *best <= percentage).is_some() {}
            self.best.push((at, percentage));
        }
        self.at = at;
        self.last = counter;
    }

    /// Merges two sets of samples.
    pub(super) fn merge(&mut self, other: &Self) {
        let (later, earlier) = if self.key() >= other.key() {
            (&*self, other)
        } else {
            (other, &*self)
        };
        let same_total = later.last.total == earlier.last.total;
        // The last sample with another total is that of the earlier side, or its last change.
        let changed_before = if same_total {
            earlier.changed
        } else {
            Some(earlier.at)
        };
        let changed = later.changed.max(changed_before);
        let mut samples = later.best.clone();
        if same_total {
            samples.extend(&earlier.best);
        }
        samples.retain(|(at, _)| Some(*at) > changed);
        *self = Self {
            first: later.first.min(earlier.first),
            at: later.at,
            open: later.open.max(earlier.open),
            last: later.last,
            changed,
            best: unreached(samples),
        };
    }

    /// The key of the first sample.
    pub(super) fn first(&self) -> LineKey {
        self.first
    }

    /// The key of the last sample.
    pub(super) fn at(&self) -> LineKey {
        self.at
    }

    /// The key of the last sample below 100 %.
    pub(super) fn open(&self) -> Option<LineKey> {
        self.open
    }

    /// Whether the last sample is below 100 %.
    pub(super) fn is_open(&self) -> bool {
        self.open == Some(self.at)
    }

    /// The last sample with its percentage.
    pub(super) fn last(&self) -> Progress {
        Progress {
            current: self.last.current,
            total: self.last.total,
            percentage: percentage(self.last),
        }
    }

    /// The last sample with the best percentage of the samples from `start` on.
    pub(super) fn best_since(&self, start: Option<LineKey>) -> Progress {
        let best = self.best.iter().find(|(at, _)| Some(*at) >= start);
        Progress {
            percentage: best.map(|(_, percentage)| *percentage),
            ..self.last()
        }
    }

    fn key(&self) -> (LineKey, Counter) {
        (self.at, self.last)
    }
}

/// Keeps the samples that no later sample reaches.
fn unreached(mut samples: Vec<(LineKey, u8)>) -> Vec<(LineKey, u8)> {
    samples.sort_unstable_by(|one, other| other.cmp(one));
    let mut highest = None;
    samples.retain(|&(_, percentage)| {
        let is_higher = Some(percentage) > highest;
        highest = highest.max(Some(percentage));
        is_higher
    });
    samples.reverse();
    samples
}

/// 0 to 100, rounded down: the printed percentage, or else computed from the count.
fn percentage(counter: Counter) -> Option<u8> {
    let printed = counter.percentage.map(|percentage| percentage.min(100));
    printed.or_else(|| percentage_of(counter.current?, counter.total?))
}

/// Returns `current` of `total` in percent, 0 to 100, rounded down; `None` if `total` is 0.
pub fn percentage_of(current: u64, total: u64) -> Option<u8> {
    let percentage = (u128::from(current) * 100).checked_div(u128::from(total))?;
    Some(u8::try_from(percentage).unwrap_or(100).min(100))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;
    use proptest::prelude::*;

    fn at(time: i64) -> LineKey {
        LineKey::outside_logs(Timestamp::from_millis(time))
    }

    fn counter(current: u64, total: u64) -> Counter {
        Counter {
            current: Some(current),
            total: Some(total),
            percentage: None,
        }
    }

    fn fold(samples: &[(i64, u64, u64)]) -> Option<CounterTrack> {
        samples
            .iter()
            .map(|&(time, current, total)| CounterTrack::new(at(time), counter(current, total)))
            .reduce(|mut all, one| {
                all.merge(&one);
                all
            })
    }

    /// [`fold`] with one sample at a time.
    fn add_all(samples: &[(i64, u64, u64)]) -> Option<CounterTrack> {
        let mut samples = samples.iter();
        let &(time, current, total) = samples.next()?;
        let mut all = CounterTrack::new(at(time), counter(current, total));
        for &(time, current, total) in samples {
            all.add(at(time), counter(current, total));
        }
        Some(all)
    }

    #[test]
    fn the_percentage_does_not_fall_until_the_total_changes() {
        let falling = fold(&[(1, 9, 10), (2, 4, 10)]).unwrap().best_since(None);
        assert_eq!((falling.current, falling.percentage), (Some(4), Some(90)));
        let changed = fold(&[(1, 9, 10), (2, 4, 10), (3, 1, 20)])
            .unwrap()
            .best_since(None);
        assert_eq!(changed.percentage, Some(5));
    }

    #[test]
    fn a_total_of_zero_has_no_percentage_and_large_numbers_do_not_overflow() {
        assert_eq!(percentage_of(1, 0), None);
        assert_eq!(percentage_of(u64::MAX, 1), Some(100));
        assert_eq!(percentage_of(u64::MAX, u64::MAX), Some(100));
    }

    proptest! {
        #[test]
        fn order_and_repetition_of_samples_do_not_matter(
            (samples, shuffled) in proptest::collection::btree_map(0..60i64, (0..12u64, 1..4u64), 1..25)
                .prop_map(|samples| {
                    samples.into_iter().map(|(time, (current, total))| (time, current, total))
                        .collect::<Vec<_>>()
                })
                .prop_flat_map(|samples| {
                    let twice = [samples.clone(), samples.clone()].concat();
                    (Just(samples), Just(twice).prop_shuffle())
                }),
            start in 0..60i64,
        ) {
            let ordered = fold(&samples);
            prop_assert_eq!(&ordered, &fold(&shuffled));
            for samples in [&samples, &shuffled] {
                prop_assert_eq!(&ordered, &add_all(samples));
            }
            // The definition: the best percentage since the total last changed and the run started.
            let (last_at, _, total) = *samples.last().unwrap();
            let changed = samples.iter().filter(|sample| sample.2 != total).map(|sample| sample.0).max();
            let best = samples.iter()
                .filter(|sample| sample.0 >= start && Some(sample.0) > changed)
                .filter_map(|&(_, current, total)| percentage_of(current, total))
                .max();
            let ordered = ordered.unwrap();
            prop_assert_eq!(ordered.at(), at(last_at));
            prop_assert_eq!(ordered.best_since(Some(at(start))).percentage, best);
        }
    }
}
