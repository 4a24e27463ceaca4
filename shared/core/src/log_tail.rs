//! The tail of a log: its last lines, as they were sent. Kept for people who ask what a run has said.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::log_parser::text::head;
use crate::model::Timestamp;

/// The most lines of a tail.
pub const MOST_TAIL_LINES: usize = 200;
/// The most bytes of the text of a line.
const MAX_TEXT_BYTES: usize = 500;
/// The number of parts of a session. Each request writes one of them, in turn.
pub const TAIL_PARTS: u32 = 32;
/// Sessions have smaller numbers. What is without a session has the number 0.
const MOST_SESSIONS: u64 = 1 << 58;

/// A line of a tail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TailLine {
    /// Its time.
    pub timestamp: Timestamp,
    /// Its text, as it was sent: it may have control characters.
    pub text: String,
}

/// The last lines of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TailPart {
    /// The number of its session: others have the same sequences.
    pub session: u64,
    /// The number of the request among those of its session. Requests [`TAIL_PARTS`] apart replace
    /// each other.
    pub sequence: u32,
    /// The lines, oldest first.
    pub lines: Vec<TailLine>,
    /// Whether it has the lines of all parts of its session before it, too.
    pub is_whole: bool,
}

impl TailPart {
    /// A part without lines, of the session with this id; it is empty without a session.
    pub fn new(session_id: &str, sequence: u32) -> Self {
        let hash = Uuid::new_v5(&Uuid::NAMESPACE_OID, session_id.as_bytes());
        let (number, _) = hash.as_u64_pair();
        let session = match session_id {
            "" => 0,
            _ => number % MOST_SESSIONS,
        };
        Self {
            session,
            sequence,
            lines: Vec::new(),
            is_whole: false,
        }
    }

    /// The part with the last lines of all parts of its session.
    #[must_use]
    pub fn whole(self, others: Vec<Self>) -> Self {
        let (session, sequence) = (self.session, self.sequence);
        let parts = others.into_iter().chain([self]).collect();
        Self {
            session,
            sequence,
            lines: tail_of(parts, Timestamp::default(), Timestamp::LATEST),
            is_whole: true,
        }
    }

    /// Adds the next line. Of more than [`MOST_TAIL_LINES`], the last ones stay.
    pub fn push(&mut self, timestamp: Timestamp, text: &str) {
        // Dropping one line at a time would take a while.
        if self.lines.len() >= 2 * MOST_TAIL_LINES {
            self.lines.drain(..MOST_TAIL_LINES);
        }
        let text = head(text, MAX_TEXT_BYTES).to_owned();
        self.lines.push(TailLine { timestamp, text });
    }

    /// The part with its last lines alone.
    #[must_use]
    pub fn finish(mut self) -> Self {
        let surplus = self.lines.len().saturating_sub(MOST_TAIL_LINES);
        self.lines.drain(..surplus);
        self
    }
}

/// The last lines of all parts that are not earlier than `from` and not later than `to`.
pub fn tail_of(parts: Vec<TailPart>, from: Timestamp, to: Timestamp) -> Vec<TailLine> {
    let mut parts = parts;
    parts.sort_by_key(|part| (part.session, part.sequence));
    let last_of = |part: &TailPart| part.lines.last().map(|line| line.timestamp);
    let mut whole_sessions = BTreeMap::new();
    for part in parts.iter().filter(|part| part.is_whole) {
        let last = whole_sessions.entry(part.session).or_default();
        *last = last_of(part).max(*last);
    }
    // What a whole part has is not taken from the others again.
    let lines = parts.into_iter().flat_map(|part| {
        let whole = whole_sessions.get(&part.session).copied().flatten();
        let is_whole = part.is_whole && last_of(&part) == whole;
        let lines = part.lines.into_iter();
        lines.filter(move |line| is_whole || Some(line.timestamp) > whole)
    });
    let is_within = |line: &TailLine| from <= line.timestamp && line.timestamp <= to;
    let mut lines: Vec<TailLine> = lines.filter(is_within).collect();
    lines.sort_by_key(|line| line.timestamp);
    let surplus = lines.len().saturating_sub(MOST_TAIL_LINES);
    lines.drain(..surplus);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(sequence: u32, lines: &[(i64, &str)]) -> TailPart {
        part_of("", sequence, lines)
    }

    fn part_of(session: &str, sequence: u32, lines: &[(i64, &str)]) -> TailPart {
        let mut part = TailPart::new(session, sequence);
        for (time_ms, text) in lines {
            part.push(Timestamp::from_millis(*time_ms), text);
        }
        part.finish()
    }

    fn texts(parts: Vec<TailPart>, from: i64, to: i64) -> Vec<String> {
        let (from, to) = (Timestamp::from_millis(from), Timestamp::from_millis(to));
        let lines = tail_of(parts, from, to).into_iter();
        lines.map(|line| line.text).collect()
    }

    #[test]
    fn lines_are_in_the_order_of_their_times_and_then_of_their_requests() {
        let parts = vec![
            part(2, &[(5, "d")]),
            part(0, &[(1, "a"), (5, "b")]),
            part(1, &[(5, "c"), (9, "e")]),
        ];
        assert_eq!(texts(parts.clone(), 0, 100), ["a", "b", "c", "d", "e"]);
        assert_eq!(texts(parts, 5, 5), ["b", "c", "d"]);
    }

    #[test]
    fn a_whole_part_has_the_lines_before_it_once() {
        let parts = vec![part(0, &[(1, "a")]), part(1, &[(2, "b")])];
        let whole = part(2, &[(3, "c")]).whole(parts.clone());
        let mut later = parts;
        later.extend([whole, part(3, &[(9, "d")])]);
        assert_eq!(texts(later, 0, 100), ["a", "b", "c", "d"]);
    }

    #[test]
    fn a_whole_part_has_no_lines_of_other_sessions() {
        let [one, other] = ["one", "other"];
        let parts = vec![
            part_of(one, 0, &[(1, "a")]),
            part_of(other, 0, &[(1, "b"), (2, "c")]),
        ];
        let of_one = parts.iter().take(1).cloned().collect();
        let whole = part_of(one, 1, &[(3, "d")]).whole(of_one);
        assert_eq!(whole.lines.len(), 2);
        let all = parts.into_iter().chain([whole]).collect();
        assert_eq!(texts(all, 0, 100), ["a", "b", "c", "d"]);
    }

    #[test]
    fn a_tail_is_bounded() {
        let long = "é".repeat(400);
        let many: Vec<_> = (0..1000).map(|time| (time, long.as_str())).collect();
        let part = part(0, &many);
        assert_eq!(part.lines.len(), MOST_TAIL_LINES);
        assert_eq!(part.lines[0].timestamp.as_millis(), 800);
        assert_eq!(part.lines[0].text.len(), 500);
        let texts = texts(vec![part.clone(), part], 0, 2000);
        assert_eq!(texts.len(), MOST_TAIL_LINES);
    }
}
