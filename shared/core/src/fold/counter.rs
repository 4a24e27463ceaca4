//! One counter over time: where it stands, and the best it has reached.

use serde::{Deserialize, Serialize};

use super::LineKey;
use crate::log_parser::Counter;
use crate::model::Progress;

/// All that can still matter of one counter's samples, as a function of the set of samples alone.
///
/// The best percentage counts from where the total last changed: another total is another bar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CounterTrack {
    /// Where the first sample is.
    first: LineKey,
    /// Where the last sample is.
    at: LineKey,
    /// Where the last sample is that leaves something to be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    open: Option<LineKey>,
    /// The last sample.
    last: Counter,
    /// The last sample that has another total than the last one has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    changed: Option<LineKey>,
    /// Of the samples after `changed`, those that no later one reaches: positions rise, percentages fall.
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

    /// Joins one more sample.
    pub(super) fn add(&mut self, at: LineKey, counter: Counter) {
        if at <= self.at || counter.total != self.last.total {
            return self.merge(&Self::new(at, counter));
        }
        // Most samples are the latest of their bar: the same as above, without copying what is there.
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

    /// Joins what two sets of samples say.
    pub(super) fn merge(&mut self, other: &Self) {
        let (later, earlier) = if self.key() >= other.key() {
            (&*self, other)
        } else {
            (other, &*self)
        };
        let same_total = later.last.total == earlier.last.total;
        // The earlier side's last sample is one with another total, or else its last change is.
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

    /// Where the first sample is.
    pub(super) fn first(&self) -> LineKey {
        self.first
    }

    /// Where the last sample is.
    pub(super) fn at(&self) -> LineKey {
        self.at
    }

    /// Where the last sample is that leaves something to be done.
    pub(super) fn open(&self) -> Option<LineKey> {
        self.open
    }

    /// Whether the last sample leaves something to be done.
    pub(super) fn is_open(&self) -> bool {
        self.open == Some(self.at)
    }

    /// The last sample, with the percentage it stands for.
    pub(super) fn last(&self) -> Progress {
        Progress {
            current: self.last.current,
            total: self.last.total,
            percentage: percentage(self.last),
        }
    }

    /// The last sample, with the best percentage that a sample at or after `start` has reached.
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

/// Those samples that no later one reaches.
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

/// 0 to 100, rounded down: as printed, or else from the counter.
fn percentage(counter: Counter) -> Option<u8> {
    let printed = counter.percentage.map(|percentage| percentage.min(100));
    printed.or_else(|| percentage_of(counter.current?, counter.total?))
}

/// `current` of `total` in per cent, 0 to 100, rounded down; `None` of a total of 0.
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

    /// [`fold`], a sample at a time.
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
    fn a_total_of_zero_and_the_greatest_numbers_are_fine() {
        assert_eq!(percentage_of(1, 0), None);
        assert_eq!(percentage_of(u64::MAX, 1), Some(100));
        assert_eq!(percentage_of(u64::MAX, u64::MAX), Some(100));
    }

    proptest! {
        #[test]
        fn the_order_of_arrival_and_repetition_do_not_matter(
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
            // The definition, said plainly: the best since the total last changed and the run began.
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
