//! Number pairs that count once they move as a counter does.
//!
//! A counter rises. A gauge, such as a pool or the use of a disk, rises and falls, and repeats
//! itself, because somebody asks for it from time to time. Two samples can't tell them apart, but
//! some more do. A percentage needs more samples than a pair, and begins low. Where the log is whole, fewer are enough, because nothing follows that could
//! contradict them.
//!
//! A late sample may show that what counted does not. So that nothing leads back, a template that
//! ever rose shows a run without a number: no late sample can change that.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use super::LineKey;
use crate::log_parser::{Counter, Sample};

/// The most templates of a log. The longest unseen goes.
const MOST_TEMPLATES: usize = 64;
/// A log with more templates, such as a table of dates, is not plain.
const MOST_OF_PLAIN: usize = 3;
/// A template that fell more often without a restart is a gauge.
const MOST_FALLS: u8 = 3;
/// More rises in a row than these tell nothing new, so samples after them may be dropped.
pub(super) const MOST_RISES: u8 = 4;

/// The work of a percentage begins at or below this one. Others are tables of percentiles.
const LOW_SHARE: u64 = 10;

/// A sample as a counter.
pub(super) fn counter(current: u64, total: u64, is_share: bool) -> Counter {
    match is_share {
        true => Counter {
            current: None,
            total: None,
            percentage: u8::try_from(current).ok(),
        },
        false => Counter {
            current: Some(current),
            total: Some(total),
            percentage: None,
        },
    }
}

/// The templates of a log, the last seen last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Templates(Vec<Template>);

/// The samples of one template so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Template {
    #[serde(rename = "t")]
    template: u64,
    /// The first sample in the run; `None` if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first: Option<LineKey>,
    /// The first value since the last restart.
    low: u64,
    last: u64,
    high: u64,
    #[serde(rename = "of")]
    total: u64,
    /// By how much it rises each time; 0 if that differs. Later rises than [`MOST_RISES`] do not
    /// matter.
    #[serde(default)]
    step: u64,
    /// How often it rose since it last fell, at most [`MOST_RISES`].
    #[serde(default)]
    rises: u8,
    /// How often it fell without a restart, at most one more than [`MOST_FALLS`].
    #[serde(default)]
    falls: u8,
    /// How often it began again.
    #[serde(default)]
    restarts: u32,
    /// Whether a value came twice since the last restart.
    #[serde(default, rename = "again")]
    is_repeated: bool,
    /// Whether it ever rose.
    #[serde(default, rename = "rose")]
    has_risen: bool,
    #[serde(default)]
    counts: bool,
    /// Whether it is a percentage.
    #[serde(default, rename = "pct", skip_serializing_if = "std::ops::Not::not")]
    is_share: bool,
}

/// A sample of a template that has risen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moved {
    /// The first sample of the template.
    pub(super) first: LineKey,
    pub(super) current: u64,
    pub(super) total: u64,
    pub(super) is_share: bool,
    /// Whether the template counts. Two samples can't tell.
    pub(super) counts: bool,
    /// Whether it did not count before.
    pub(super) is_new: bool,
}

impl Templates {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds the samples of a line. Returns one that has risen, and rather one that counts.
    pub(super) fn see(&mut self, at: LineKey, samples: &[Sample]) -> Option<Moved> {
        let moved = samples.iter().filter_map(|sample| self.add(at, sample));
        moved.reduce(|one, other| match other.counts && !one.counts {
            true => other,
            false => one,
        })
    }

    fn add(&mut self, at: LineKey, sample: &Sample) -> Option<Moved> {
        let is_its = |known: &Template| known.template == sample.template;
        let template = match self.0.iter().position(is_its) {
            Some(index) => {
                let mut template = self.0.remove(index);
                match template.first {
                    Some(_) => template.move_to(sample.current),
                    None => template.begin(at, sample.current),
                }
                template
            }
            None => {
                if self.0.len() >= MOST_TEMPLATES {
                    self.0.remove(0);
                }
                Template::at(at, sample)
            }
        };
        let is_new = !template.counts && template.is_counter();
        let template = Template {
            counts: template.counts || is_new,
            ..template
        };
        let moved = Moved {
            first: template.first.unwrap_or(at),
            current: sample.current,
            total: sample.total,
            is_share: sample.is_share,
            counts: template.counts,
            is_new,
        };
        let has_risen = template.has_risen;
        self.0.push(template);
        has_risen.then_some(moved)
    }

    /// A run begins.
    pub(super) fn begin_run(&mut self) {
        for template in &mut self.0 {
            template.first = None;
        }
    }

    /// The run that has begun has begun with these samples, which are known already.
    pub(super) fn begin_with(&mut self, at: LineKey, samples: &[Sample]) {
        for template in &mut self.0 {
            if samples
                .iter()
                .any(|sample| sample.template == template.template)
            {
                template.begin(at, template.last);
            }
        }
    }

    /// Lets those count that have moved, for nothing follows. Returns the outer one.
    pub(super) fn finish(&mut self) -> Option<(LineKey, Counter)> {
        let is_plain = self.0.len() <= MOST_OF_PLAIN;
        for template in &mut self.0 {
            template.counts |= template.has_moved(is_plain);
        }
        self.outermost()
    }

    /// The outer one of the counters, and its first sample: one that did not begin again while
    /// others did; of those that are not full, the first; of those that are, the last.
    pub(super) fn outermost(&self) -> Option<(LineKey, Counter)> {
        let counters = self.0.iter().enumerate();
        let counters = counters.filter(|(_, template)| template.counts && template.first.is_some());
        let outer = counters.min_by_key(|(index, template)| {
            let is_full = template.last == template.total;
            let place = template.first.filter(|_| !is_full);
            (template.restarts, is_full, place, Reverse(*index))
        });
        let (_, template) = outer?;
        let counter = counter(template.high, template.total, template.is_share);
        Some((template.first?, counter))
    }
}

impl Template {
    fn at(at: LineKey, sample: &Sample) -> Self {
        Self {
            template: sample.template,
            first: Some(at),
            low: sample.current,
            last: sample.current,
            high: sample.current,
            total: sample.total,
            step: 0,
            rises: 0,
            falls: 0,
            restarts: 0,
            is_repeated: false,
            has_risen: false,
            counts: false,
            is_share: sample.is_share,
        }
    }

    /// Adds the first value in a run. What it was before tells whether it counts.
    fn begin(&mut self, at: LineKey, value: u64) {
        self.first = Some(at);
        self.has_risen |= value > self.last;
        (self.low, self.last, self.high) = (value, value, value);
        (self.step, self.rises, self.restarts, self.is_repeated) = (0, 0, 0, false);
    }

    /// Adds the next value.
    fn move_to(&mut self, next: u64) {
        let last = std::mem::replace(&mut self.last, next);
        self.high = self.high.max(next);
        if next == last {
            self.is_repeated = true;
        } else if next > last {
            let step = next - last;
            self.has_risen = true;
            if self.rises == 0 {
                self.step = step;
            } else if self.rises < MOST_RISES && self.step != step {
                self.step = 0;
            }
            self.rises = MOST_RISES.min(self.rises + 1);
        } else {
            let was_full = last == self.total;
            let is_restart = next <= 1 && (self.counts || was_full) || was_full && next <= self.low;
            if is_restart {
                self.restarts = self.restarts.saturating_add(1);
                (self.low, self.is_repeated) = (next, false);
            } else {
                // Workers beside each other may print their lines in another order.
                let is_near = self.counts && last - next <= self.total / 4;
                let falls = if is_near { self.falls + 1 } else { u8::MAX };
                self.falls = falls.min(MOST_FALLS + 1);
            }
            (self.rises, self.step) = (0, 0);
        }
        self.counts &= self.falls <= MOST_FALLS;
    }

    /// Whether it can't but be a counter.
    fn is_counter(&self) -> bool {
        let is_from_start = self.low <= self.step;
        if self.is_share {
            return self.falls == 0 && self.rises >= MOST_RISES && self.low <= LOW_SHARE;
        }
        self.falls == 0
            && match self.is_repeated {
                false => self.rises >= 3 || self.rises >= 2 && is_from_start,
                // A terminal shows each step several times.
                true if self.rises >= 3 && self.low <= 1 && self.step == 1 => true,
                true => self.rises >= MOST_RISES && self.low <= self.total / 4,
            }
    }

    /// Whether it is a counter if no more samples follow. One rise is enough in a log that is plain.
    fn has_moved(&self, is_plain: bool) -> bool {
        if self.is_share {
            let is_whole = self.last == self.total && self.rises >= 2;
            let has_risen = is_whole || self.rises >= 3 || self.rises == 2 && is_plain;
            return self.falls == 0 && has_risen && self.low <= LOW_SHARE;
        }
        let is_even = self.low <= self.step.max(1) || self.step == 1 || self.last == self.total;
        let has_risen = match self.rises {
            0 => false,
            1 => is_even && is_plain,
            2 => is_even,
            _ => true,
        };
        self.falls == 0 && !self.is_repeated && has_risen
    }
}
