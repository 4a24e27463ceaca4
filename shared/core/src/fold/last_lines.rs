//! The last lines of a log.

use std::borrow::Cow;
use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::line_key::{LineKey, SessionKey};
use crate::log_parser::json;
use crate::log_parser::line::{clean, strip_all_prefixes};
use crate::log_parser::text::{clip, head, tail};

/// The number of lines kept.
const MOST_LINES: usize = 12;

/// How many of them are the last ones that are no details.
const LAST_WITHOUT_DETAILS: usize = 6;

/// The size of the text of a line, in bytes.
pub(super) const MAX_TEXT_BYTES: usize = 160;

/// The size of the end of a longer line, in bytes. Platforms print their status there.
const TAIL_BYTES: usize = 48;

/// Stands for what is left out.
const GAP: &str = " … ";

/// How much of a line is kept until its text is needed, in bytes.
const MAX_RAW_BYTES: usize = 4096;

/// The 12 lines of a log with the highest keys, without blank lines. But the 6 last lines that are
/// no details stay: a long stack trace does not push out the error that it belongs to.
///
/// It is a function of the set of lines: the order, repetition and grouping of inserts and merges
/// do not matter. The queue is ordered by key. An insert only copies the line; the copy becomes
/// text when it is read or stored, because most lines are replaced before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastLines(VecDeque<(LineKey, Line)>);

/// A line of a log. A space before the stored text marks a detail.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
struct Line {
    /// Whether it is about a line before it, like a stack frame.
    is_detail: bool,
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    /// The start of a line as it was read.
    Raw(String),
    /// A text as [`text_of`] returns it.
    Text(String),
}

impl LastLines {
    /// Adds a line, if it is one of the last. Blank lines are left out. `raw_line` may have
    /// colours, prefixes and JSON around its text.
    pub fn insert(&mut self, key: LineKey, raw_line: &str) {
        if !raw_line.trim_start().is_empty() {
            self.put(key, is_detail(raw_line), |mut buffer| {
                buffer.clear();
                buffer.push_str(head(raw_line, MAX_RAW_BYTES));
                if raw_line.len() > MAX_RAW_BYTES {
                    buffer.push_str(GAP);
                    buffer.push_str(tail(raw_line, TAIL_BYTES));
                }
                Content::Raw(buffer)
            });
        }
    }

    /// Adds all lines of `other`. Returns whether one of them is new here.
    pub fn merge(&mut self, other: &Self) -> bool {
        let mut is_new = false;
        for (key, line) in &other.0 {
            self.put(*key, line.is_detail, |_| {
                is_new = true;
                line.content.clone()
            });
        }
        is_new
    }

    /// Adds the line that `make` makes, unless it is there or is not one of the last. `make` may
    /// reuse the text of the line that goes.
    fn put(&mut self, key: LineKey, is_detail: bool, make: impl FnOnce(String) -> Content) {
        if key.is_bounded() || self.0.iter().any(|(known, _)| known.is_bounded()) {
            // Of two readings of a line whose time is bounded, the earlier one is kept.
            let is_same = |(known, _): &(LineKey, Line)| known.line_id() == key.line_id();
            match self.0.iter().position(is_same) {
                Some(place) if self.0.get(place).is_some_and(|(known, _)| *known > key) => {
                    self.0.remove(place);
                }
                Some(_) => return,
                None => {}
            }
        }
        let mut place = match self.0.back() {
            Some((last, _)) if *last >= key => self.0.partition_point(|(known, _)| *known < key),
            _ => self.0.len(),
        };
        if self.0.get(place).is_some_and(|(known, _)| *known == key) {
            return;
        }
        let mut buffer = String::new();
        if self.0.len() >= MOST_LINES {
            let details = self.0.iter().filter(|(_, line)| line.is_detail).count();
            let others = self.0.len() - details + usize::from(!is_detail);
            let mut lines = self.0.iter();
            // Of the lines and the new one, the oldest that need not stay goes.
            let (goes, is_new) = match others > LAST_WITHOUT_DETAILS {
                true => (0, place == 0),
                false => {
                    let first = lines.position(|(_, line)| line.is_detail);
                    let first = first.unwrap_or(place);
                    (first, is_detail && place <= first)
                }
            };
            if is_new {
                return;
            }
            if let Some((_, line)) = self.0.remove(goes) {
                let (Content::Raw(content) | Content::Text(content)) = line.content;
                buffer = content;
                place -= usize::from(goes < place);
            }
        }
        let content = make(buffer);
        self.0.insert(place, (key, Line { is_detail, content }));
    }

    /// The keys of the lines.
    pub(super) fn keys(&self) -> impl Iterator<Item = LineKey> {
        self.0.iter().map(|(key, _)| *key)
    }

    /// Gives lines other keys, in the same order.
    pub(super) fn change_keys(&mut self, change: &mut impl FnMut(LineKey) -> LineKey) {
        for (key, _) in &mut self.0 {
            *key = change(*key);
        }
    }

    /// Whether there is no line.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The key of the last line; `None` if there is none.
    pub fn newest(&self) -> Option<LineKey> {
        self.0.back().map(|(key, _)| *key)
    }

    /// The text of the last line that has one; empty if none has.
    pub fn last_text(&self) -> String {
        let mut texts = self.iter().rev().map(|(_, text)| text);
        let last = texts.find(|text| !text.is_empty());
        last.unwrap_or_default().into_owned()
    }

    /// Takes the lines before `first` out.
    #[must_use]
    pub fn since(mut self, first: LineKey) -> Self {
        self.0.retain(|(key, _)| *key >= first);
        self
    }

    /// The lines that may be of a session, or of a run that is none.
    pub(super) fn of_session(&self, session: Option<SessionKey>) -> Cow<'_, Self> {
        let is_of = |key: &LineKey| key.session().is_none() || key.session() == session;
        if self.0.iter().all(|(key, _)| is_of(key)) {
            return Cow::Borrowed(self);
        }
        let mut lines = self.clone();
        lines.0.retain(|(key, _)| is_of(key));
        Cow::Owned(lines)
    }

    /// The lines as text, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (LineKey, Cow<'_, str>)> {
        self.0.iter().map(|(key, line)| (*key, line.text()))
    }

    /// The key of the latest line whose text `matches`.
    pub(super) fn key_of(&self, matches: impl Fn(&str) -> bool) -> Option<LineKey> {
        let mut lines = self.iter().rev();
        lines.find(|(_, text)| matches(text)).map(|(key, _)| key)
    }

    /// The texts that are not empty, the latest first, each with whether it is a detail.
    pub(super) fn backward(&self) -> impl Iterator<Item = (bool, Cow<'_, str>)> {
        let lines = self.0.iter().rev();
        let lines = lines.map(|(_, line)| (line.is_detail, line.text()));
        lines.filter(|(_, text)| !text.is_empty())
    }

    /// The texts of the last lines before `key`, oldest first: at most `most`, without blank ones.
    pub fn before(&self, key: LineKey, most: usize) -> Vec<String> {
        let lines = self.iter().rev().filter(|(known, _)| *known < key);
        let texts = lines
            .map(|(_, text)| text)
            .filter(|text| !text.is_empty())
            .take(most);
        let mut texts: Vec<String> = texts.map(Cow::into_owned).collect();
        texts.reverse();
        texts
    }
}

impl Line {
    fn text(&self) -> Cow<'_, str> {
        match &self.content {
            Content::Raw(raw) => Cow::Owned(text_of(raw)),
            Content::Text(text) => Cow::Borrowed(text),
        }
    }
}

impl PartialEq for Line {
    fn eq(&self, other: &Self) -> bool {
        self.is_detail == other.is_detail && self.text() == other.text()
    }
}

impl Eq for Line {}

impl From<String> for Line {
    fn from(mut text: String) -> Self {
        let is_detail = text.starts_with(' ');
        if is_detail {
            text.remove(0);
        }
        let content = Content::Text(text);
        Self { is_detail, content }
    }
}

impl From<Line> for String {
    fn from(line: Line) -> Self {
        let mark = if line.is_detail { " " } else { "" };
        format!("{mark}{}", line.text())
    }
}

/// Whether a line is about a line before it: it is indented, or a stack frame after a prefix. Runs
/// for every line, so it only looks at bytes.
fn is_detail(raw_line: &str) -> bool {
    raw_line.starts_with([' ', '\t']) || raw_line.contains("   at ") || raw_line.contains("\tat ")
}

/// The text of a line without colours and control characters, at most [`MAX_TEXT_BYTES`] of it: the
/// start and the end of a longer one. Prefixes stay, because the level is one of them. A JSON object
/// becomes its level and message.
pub(crate) fn text_of(raw: &str) -> String {
    let line = clean(raw);
    let object = strip_all_prefixes(&line);
    let told = json::level_and_message(object);
    let text = told.as_deref().unwrap_or(&line).trim();
    if text.len() <= MAX_TEXT_BYTES {
        return clip(text);
    }
    let short = without_rulers(text);
    let text = short.trim();
    if text.len() <= MAX_TEXT_BYTES {
        return clip(text);
    }
    let start = head(text, MAX_TEXT_BYTES - TAIL_BYTES - GAP.len());
    format!("{}{GAP}{}", clip(start), clip(tail(text, TAIL_BYTES)))
}

/// `text` with at most three of the same sign beside each other: `─── done ───`.
fn without_rulers(text: &str) -> String {
    const MOST: usize = 3;
    let (mut last, mut count) = (None, 0);
    let is_short = |sign: &char| {
        count = if last == Some(*sign) { count + 1 } else { 1 };
        last = Some(*sign);
        count <= MOST || sign.is_alphanumeric()
    };
    text.chars().filter(is_short).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log_event::LogEvent;
    use crate::model::Timestamp;
    use proptest::prelude::*;

    fn key(time_ms: i64) -> LineKey {
        let event = LogEvent {
            log_stream: String::new(),
            timestamp: Timestamp::from_millis(time_ms),
            ingested_at: Timestamp::from_millis(time_ms),
            event_id: "7".to_owned(),
            message: String::new(),
        };
        LineKey::of(&event, 0)
    }

    fn of(lines: &[(i64, &str)]) -> LastLines {
        let mut last = LastLines::default();
        for (time_ms, line) in lines {
            last.insert(key(*time_ms), line);
        }
        last
    }

    fn texts(lines: &LastLines) -> Vec<String> {
        lines.iter().map(|(_, text)| text.into_owned()).collect()
    }

    #[test]
    fn the_twelve_highest_lines_stay() {
        let lines: Vec<String> = (0..40_u8).map(|line| format!("line {line}")).collect();
        let mut last = LastLines::default();
        for (time_ms, line) in (0..40_u8).zip(&lines).rev() {
            last.insert(key(i64::from(time_ms)), line);
        }
        assert_eq!(texts(&last), lines[28..]);
    }

    #[test]
    fn details_do_not_push_out_the_line_that_they_are_about() {
        let frames: Vec<String> = (0..30)
            .map(|frame| format!("    at mix{frame} (mix.js)"))
            .collect();
        let prefixed = frames.iter().map(|frame| format!("web-1  | {frame}"));
        let tabbed = frames.iter().map(|frame| frame.replace("    ", "\t"));
        for frames in [frames.clone(), prefixed.collect(), tabbed.collect()] {
            let mut lines = vec!["one", "two", "three", "Error: too dry"];
            lines.extend(frames.iter().map(String::as_str));
            let lines: Vec<(i64, &str)> = (0..).zip(lines).collect();
            let found = texts(&of(&lines));
            assert_eq!(found[..4], ["one", "two", "three", "Error: too dry"]);
            assert_eq!(found.len(), MOST_LINES);
            assert!(found[11].contains("mix29"), "{found:?}");
        }
    }

    #[test]
    fn both_ends_of_a_long_line_stay() {
        let long = format!("REPORT {} Status: timeout", "x".repeat(9000));
        let found = texts(&of(&[(1, &long)])).concat();
        assert!(found.starts_with("REPORT xxx"), "{found}");
        assert!(found.ends_with("xxx Status: timeout"), "{found}");
    }

    #[test]
    fn a_text_has_no_colours_and_is_cut_between_characters() {
        let long = format!("x{}", "é".repeat(200));
        let last = of(&[
            (1, "\u{1b}[31m  ERROR no ink \u{1b}[0m\u{7}\t"),
            (2, &long),
            (3, " \t"),
            (4, "\u{1b}[0m"),
        ]);
        let cut = format!("x{} … {}", "é".repeat(53), "é".repeat(24));
        assert_eq!(texts(&last), ["ERROR no ink", cut.as_str(), ""]);
    }

    #[test]
    fn the_level_and_the_message_of_a_record_are_its_text() {
        let padding = "y".repeat(300);
        let late = format!(r#"{{"stack":"{padding}","level":"error","msg":"copy failed"}}"#);
        let last = of(&[
            (1, &late),
            (2, r#"2026-03-01T07:00:00Z {"level":30,"msg":"ink bought"}"#),
            (3, r#"{"done":7,"of":9}"#),
        ]);
        let expected = [
            "ERROR copy failed",
            "INFO ink bought",
            r#"{"done":7,"of":9}"#,
        ];
        assert_eq!(texts(&last), expected);
    }

    #[test]
    fn the_lines_before_a_line_are_its_context() {
        let last = of(&[
            (1, "one"),
            (2, "two"),
            (3, "\u{1b}[0m"),
            (4, "three"),
            (5, "boom"),
        ]);
        assert_eq!(last.before(key(5), 2), ["two", "three"]);
        assert_eq!(last.before(key(9), 1), ["boom"]);
        assert_eq!(last.before(key(1), 5), [""; 0]);
    }

    #[test]
    fn lines_survive_storage() {
        let mut last = of(&[
            (1, "\u{1b}[1mone\u{1b}[0m"),
            (2, r#"{"level":50,"msg":"{\"message\":\"two\"}"}"#),
            (3, r#"{"message":{"message":[1]}}"#),
            (4, "\t  a detail"),
        ]);
        let json = serde_json::to_string(&last).unwrap();
        assert!(json.starts_with(r#"[[[1,7,0],"one"],"#), "{json}");
        let mut stored: LastLines = serde_json::from_str(&json).unwrap();
        assert_eq!(stored, last);
        last.insert(key(5), "five");
        stored.insert(key(5), "five");
        assert_eq!(stored, last);
        assert_eq!(
            serde_json::to_string(&stored).unwrap(),
            serde_json::to_string(&last).unwrap()
        );
    }

    proptest! {
        #[test]
        fn order_repetition_and_grouping_do_not_matter(
            inserts in prop::collection::vec((0_i64..60, 0_usize..4, any::<bool>()), 0..90),
            details in 0_i64..8,
        ) {
            let is_detail = |time_ms: i64| time_ms % 7 < details;
            let line = |time_ms: i64| {
                let indent = if is_detail(time_ms) { "  " } else { "" };
                format!("{indent}\u{1b}[32mline {time_ms}\u{1b}[0m")
            };
            let mut groups = vec![LastLines::default(); 4];
            let mut times: Vec<i64> = inserts.iter().map(|(time_ms, ..)| *time_ms).collect();
            for (time_ms, group, is_stored) in inserts {
                groups[group].insert(key(time_ms), &line(time_ms));
                if is_stored {
                    let json = serde_json::to_string(&groups[group]).unwrap();
                    groups[group] = serde_json::from_str(&json).unwrap();
                }
            }
            times.sort_unstable();
            times.dedup();
            let (rest, others): (Vec<i64>, Vec<i64>) =
                times.into_iter().partition(|time_ms| is_detail(*time_ms));
            let (rest_of_others, last) =
                others.split_at(others.len().saturating_sub(LAST_WITHOUT_DETAILS));
            let mut rest = [rest.as_slice(), rest_of_others].concat();
            rest.sort_unstable();
            let rest = &rest[rest.len().saturating_sub(MOST_LINES - last.len())..];
            let mut expected = [rest, last].concat();
            expected.sort_unstable();
            let expected: Vec<_> =
                expected.into_iter().map(|time_ms| format!("line {time_ms}")).collect();
            let [a, b, c, d] = &groups[..] else { unreachable!() };
            let mut left = a.clone();
            for group in [b, c, d, a] {
                left.merge(group);
            }
            let mut right = d.clone();
            let mut pair = b.clone();
            pair.merge(c);
            right.merge(&pair);
            right.merge(a);
            prop_assert_eq!(&left, &right);
            prop_assert_eq!(texts(&left), expected);
        }

        #[test]
        fn no_line_has_a_long_text(line in any::<String>(), repeat in 1_usize..80) {
            let last = of(&[(1, &line.repeat(repeat))]);
            prop_assert!(last.iter().all(|(_, text)| text.len() <= MAX_TEXT_BYTES));
        }
    }
}
