//! Lines with number pairs of which the words do not say that they are progress.

use super::{LONGEST_SILENCE_MS, Run};
use crate::fold::LineKey;
use crate::fold::end::Strength;
use crate::fold::templates::{Moved, counter};
use crate::log_parser::{Counter, CounterKind, Samples};

impl Run {
    /// Whether a number pair belongs to a later run.
    pub(in crate::fold) fn is_left_by_sample(&self, at: LineKey, moved: Moved) -> bool {
        let is_ended = self.is_over() || self.edits.has_end();
        let is_silent = at.time().millis_since(self.last.time()) > LONGEST_SILENCE_MS;
        if self.is_of_stacks() {
            return false;
        }
        let end = self.whole.end.map(|end| end.at);
        let is_first = match moved.is_new {
            true => Some(moved.first) > end,
            false => moved.current <= 1,
        };
        moved.counts
            && (is_ended && is_first
                || is_silent && (is_ended || self.is_deleted || moved.is_new)
                || self.is_resumed_by_sample(moved))
    }

    /// Whether a number pair shows that the work goes on, although an end was reported.
    fn is_resumed_by_sample(&self, moved: Moved) -> bool {
        let counter = counter(moved.current, moved.total, moved.is_share);
        let is_weak = |strength| strength < Strength::Exit;
        !moved.is_new
            && !self.edits.has_end()
            && self.whole.end.is_some_and(|end| is_weak(end.strength))
            && self
                .whole
                .counters
                .is_unfinished(CounterKind::Moved, counter)
    }

    /// Adds a line with a number pair that has risen. What a run counts after its end is no news.
    pub(in crate::fold) fn see_sample(&mut self, at: LineKey, line: &Samples, moved: Moved) {
        self.take_end_back();
        self.begin_with(moved.first.min(at), at, true);
        self.last = at;
        if !self.is_over() {
            self.whole.see_sample(at, line, moved.counts);
        }
    }

    /// Sets the outer one of the number pairs that count, if the run has not ended.
    pub(in crate::fold) fn set_moved(&mut self, outermost: Option<(LineKey, Counter)>) {
        // What has counted may have turned out to be a gauge.
        if outermost.is_none() || !self.is_over() {
            self.whole.counters.set_moved(outermost);
        }
    }

    /// Lets a number pair count that has moved, because the log has ended.
    pub(in crate::fold) fn finish_samples(&mut self, outermost: (LineKey, Counter)) {
        if !self.has_lines() {
            self.first = outermost.0;
            self.start = outermost.0;
        }
        self.whole.is_said = true;
        self.whole.counters.set_moved(Some(outermost));
    }
}
