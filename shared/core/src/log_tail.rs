//! The tail of a log: its last lines, as they were sent. Kept for people who ask what a run has said.

use serde::{Deserialize, Serialize};

use crate::log_parser::text::head;
use crate::model::Timestamp;

/// The most lines of a tail.
pub const MOST_TAIL_LINES: usize = 200;
/// The most bytes of the text of a line.
const MAX_TEXT_BYTES: usize = 500;
/// The number of parts. Each request writes one of them, in turn.
pub const TAIL_PARTS: u32 = 32;

/// A line of a tail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TailLine {
    /// Its time.
    pub timestamp: Timestamp,
    /// Its text, as it was sent: it may have control characters.
    pub text: String,
    /// Whether the time is that of the request of a session: then those of later requests are not
    /// earlier, in whatever order they arrived.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_of_request: bool,
}

/// The last lines of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TailPart {
    /// The number of the request among those of its run. Requests [`TAIL_PARTS`] apart replace each
    /// other.
    pub sequence: u32,
    /// The lines, oldest first.
    pub lines: Vec<TailLine>,
    /// Whether it has the lines of all parts before it, too.
    pub is_whole: bool,
}

impl TailPart {
    /// A part without lines.
    pub fn new(sequence: u32) -> Self {
        Self {
            sequence,
            lines: Vec::new(),
            is_whole: false,
        }
    }

    /// One part with the last lines of all parts.
    #[must_use]
    pub fn whole(self, others: Vec<Self>) -> Self {
        let sequence = self.sequence;
        let parts = others.into_iter().chain([self]).collect();
        Self {
            sequence,
            lines: tail_of(parts),
            is_whole: true,
        }
    }

    /// Adds the next line. Of more than [`MOST_TAIL_LINES`], the last ones stay.
    pub fn push(&mut self, timestamp: Timestamp, is_of_request: bool, text: &str) {
        // Dropping one line at a time would take a while.
        if self.lines.len() >= 2 * MOST_TAIL_LINES {
            self.lines.drain(..MOST_TAIL_LINES);
        }
        let text = head(text, MAX_TEXT_BYTES).to_owned();
        self.lines.push(TailLine {
            timestamp,
            text,
            is_of_request,
        });
    }

    /// The part with its last lines alone.
    #[must_use]
    pub fn finish(mut self) -> Self {
        let surplus = self.lines.len().saturating_sub(MOST_TAIL_LINES);
        self.lines.drain(..surplus);
        self
    }
}

/// The last lines of all parts.
pub fn tail_of(parts: Vec<TailPart>) -> Vec<TailLine> {
    let mut parts = parts;
    parts.sort_by_key(|part| part.sequence);
    put_in_order(&mut parts);
    let last_of = |part: &TailPart| part.lines.last().map(|line| line.timestamp);
    let whole = parts.iter().filter(|part| part.is_whole);
    let whole = whole.filter_map(last_of).max();
    // What a whole part has is not taken from the others again.
    let lines = parts.into_iter().flat_map(|part| {
        let is_whole = part.is_whole && last_of(&part) == whole;
        let lines = part.lines.into_iter();
        lines.filter(move |line| is_whole || Some(line.timestamp) > whole)
    });
    let mut lines: Vec<TailLine> = lines.collect();
    lines.sort_by_key(|line| line.timestamp);
    let surplus = lines.len().saturating_sub(MOST_TAIL_LINES);
    lines.drain(..surplus);
    lines
}

/// Lets lines that have the time of their request be no later than those of later requests.
fn put_in_order(parts: &mut [TailPart]) {
    let mut latest = Timestamp::LATEST;
    for part in parts.iter_mut().rev() {
        let lines = part.lines.iter_mut().filter(|line| line.is_of_request);
        let mut earliest = latest;
        for line in lines {
            line.timestamp = line.timestamp.min(latest);
            line.is_of_request = false;
            earliest = earliest.min(line.timestamp);
        }
        latest = earliest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(sequence: u32, lines: &[(i64, &str)]) -> TailPart {
        let mut part = TailPart::new(sequence);
        for (time_ms, text) in lines {
            part.push(Timestamp::from_millis(*time_ms), false, text);
        }
        part.finish()
    }

    fn texts(parts: Vec<TailPart>) -> Vec<String> {
        let lines = tail_of(parts).into_iter();
        lines.map(|line| line.text).collect()
    }

    #[test]
    fn lines_are_in_the_order_of_their_times_and_then_of_their_requests() {
        let parts = vec![
            part(2, &[(5, "d")]),
            part(0, &[(1, "a"), (5, "b")]),
            part(1, &[(5, "c"), (9, "e")]),
        ];
        assert_eq!(texts(parts), ["a", "b", "c", "d", "e"]);
    }

    #[test]
    fn lines_without_times_have_the_order_of_their_requests() {
        let arrived = |sequence, time_ms, text| {
            let mut part = TailPart::new(sequence);
            part.push(Timestamp::from_millis(time_ms), true, text);
            part
        };
        let parts = vec![
            arrived(2, 4, "c"),
            arrived(0, 6, "a"),
            arrived(3, 9, "d"),
            arrived(1, 7, "b"),
        ];
        assert_eq!(texts(parts), ["a", "b", "c", "d"]);
    }

    #[test]
    fn a_whole_part_has_the_lines_before_it_once() {
        let parts = vec![part(0, &[(1, "a")]), part(1, &[(2, "b")])];
        let whole = part(2, &[(3, "c")]).whole(parts.clone());
        let mut later = parts;
        later.extend([whole, part(3, &[(9, "d")])]);
        assert_eq!(texts(later), ["a", "b", "c", "d"]);
    }

    #[test]
    fn a_tail_is_bounded() {
        let long = "é".repeat(400);
        let many: Vec<_> = (0..1000).map(|time| (time, long.as_str())).collect();
        let part = part(0, &many);
        assert_eq!(part.lines.len(), MOST_TAIL_LINES);
        assert_eq!(part.lines[0].timestamp.as_millis(), 800);
        assert_eq!(part.lines[0].text.len(), 500);
        let texts = texts(vec![part.clone(), part]);
        assert_eq!(texts.len(), MOST_TAIL_LINES);
    }
}
