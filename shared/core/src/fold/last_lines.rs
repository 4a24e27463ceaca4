//! The last lines of a log.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::line_key::LineKey;
use crate::log_parser::json;
use crate::log_parser::line::{clean, strip_all_prefixes};
use crate::log_parser::text::{clip, head};

/// The number of lines kept.
const MOST_LINES: usize = 12;

/// The size of the text of a line, in bytes.
const MAX_TEXT_BYTES: usize = 160;

/// How much of a line is kept until its text is needed, in bytes.
const MAX_RAW_BYTES: usize = 4096;

/// How many JSON objects may be nested around a text.
const MAX_DEPTH: usize = 4;

/// The 12 lines of a log with the highest keys, without blank lines.
///
/// It is a function of the set of lines: neither order nor repetition nor grouping of inserts and
/// merges matters. An insert copies the line at most. A line becomes text when it is read or
/// stored, which few lines live to see.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "BTreeMap<LineKey, String>", into = "BTreeMap<LineKey, String>")]
pub struct LastLines(BTreeMap<LineKey, Line>);

/// A line of a log.
#[derive(Debug, Clone)]
enum Line {
    /// The start of a line as it was read.
    Raw(String),
    /// A text as [`text_of`] returns it.
    Text(String),
}

impl LastLines {
    /// Adds a line, if it is one of the last. Blank lines are left out. `raw_line` may have colours, prefixes and JSON around
    /// its text, and ends where a terminal starts a new line.
    pub fn insert(&mut self, key: LineKey, raw_line: &str) {
        if raw_line.trim_start().is_empty() {
            return;
        }
        let Some(mut buffer) = self.make_room(key) else {
            return;
        };
        buffer.push_str(head(raw_line, MAX_RAW_BYTES));
        self.0.insert(key, Line::Raw(buffer));
    }

    /// Adds all lines of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (key, line) in &other.0 {
            if self.make_room(*key).is_some() {
                self.0.insert(*key, line.clone());
            }
        }
    }

    /// Makes room for a new line with the key `key`: returns an empty buffer for its text. `None`
    /// if the line is already there or is not one of the last.
    fn make_room(&mut self, key: LineKey) -> Option<String> {
        let is_full = self.0.len() >= MOST_LINES;
        if is_full && self.0.first_key_value().is_some_and(|(low, _)| key < *low) {
            return None;
        }
        if self.0.contains_key(&key) {
            return None;
        }
        if !is_full {
            return Some(String::new());
        }
        let (_, Line::Raw(mut buffer) | Line::Text(mut buffer)) = self.0.pop_first()?;
        buffer.clear();
        Some(buffer)
    }

    /// The lines as text, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (LineKey, Cow<'_, str>)> {
        self.0.iter().map(|(key, line)| (*key, line.text()))
    }

    /// The texts of the last lines before `key`, oldest first: at most `most`, without blank ones.
    pub fn before(&self, key: LineKey, most: usize) -> Vec<String> {
        let lines = self.0.range(..key).rev().map(|(_, line)| line.text());
        let texts = lines.filter(|text| !text.is_empty()).take(most);
        let mut texts: Vec<String> = texts.map(Cow::into_owned).collect();
        texts.reverse();
        texts
    }
}

impl Line {
    fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Raw(raw) => Cow::Owned(text_of(raw)),
            Self::Text(text) => Cow::Borrowed(text),
        }
    }
}

impl PartialEq for LastLines {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for LastLines {}

impl From<BTreeMap<LineKey, String>> for LastLines {
    fn from(mut texts: BTreeMap<LineKey, String>) -> Self {
        while texts.len() > MOST_LINES {
            texts.pop_first();
        }
        let lines = texts.into_iter();
        Self(lines.map(|(key, text)| (key, Line::Text(text))).collect())
    }
}

impl From<LastLines> for BTreeMap<LineKey, String> {
    fn from(lines: LastLines) -> Self {
        let texts = lines.iter().map(|(key, text)| (key, text.into_owned()));
        texts.collect()
    }
}

/// The text of a line without colours and control characters, cut to [`MAX_TEXT_BYTES`]. Prefixes
/// stay, because the level is one of them. A JSON object becomes its level and message.
fn text_of(raw: &str) -> String {
    let line = clean(raw);
    let object = strip_all_prefixes(&line);
    let text = match object.starts_with('{').then(|| text_of_object(object)) {
        Some(Some(text)) => clip(&text),
        _ => clip(&line),
    };
    head(&text, MAX_TEXT_BYTES).trim_end().to_owned()
}

/// The level and the last line of the message of a JSON object.
fn text_of_object(object: &str) -> Option<String> {
    let mut level = None;
    let mut text = Cow::Borrowed(object);
    for _ in 0..MAX_DEPTH {
        if !text.starts_with('{') {
            break;
        }
        level = level.or_else(|| level_of(&text));
        let message = match json::parse(&text) {
            Ok(object) => object.wrapped().map(Cow::into_owned),
            Err(_) => json::salvage(&text),
        };
        match message {
            Some(message) => text = Cow::Owned(message.trim().to_owned()),
            None => break,
        }
    }
    let last = text
        .lines()
        .next_back()
        .map(|line| clean(line).into_owned());
    let message = last.unwrap_or_default();
    match level {
        Some(level) => Some(format!("{level} {message}")),
        None => Some(message).filter(|message| message != object),
    }
}

/// The fields in which loggers write the level.
#[derive(Deserialize)]
struct Levels<'a> {
    #[serde(borrow)]
    level: Option<&'a RawValue>,
    #[serde(borrow)]
    levelname: Option<&'a RawValue>,
    #[serde(borrow)]
    severity: Option<&'a RawValue>,
}

/// The level of a log record in JSON, as a word in upper case.
fn level_of(object: &str) -> Option<String> {
    let levels = Levels::deserialize(&mut serde_json::Deserializer::from_str(object)).ok()?;
    let fields = [levels.level, levels.levelname, levels.severity];
    let level = fields.into_iter().flatten().next()?;
    if let Some(word) = json::string(level) {
        let is_word = word.len() <= 16 && word.bytes().all(|byte| byte.is_ascii_alphabetic());
        return is_word.then(|| word.to_ascii_uppercase());
    }
    // The numbers of bunyan and pino.
    let word = match level.get().parse().ok()? {
        60_u32 => "FATAL",
        50..=59 => "ERROR",
        40..=49 => "WARN",
        0..=39 => "INFO",
        _ => return None,
    };
    Some(word.to_owned())
}
