//! The fields of a body, taken one by one. What is wrong is gathered, so that a client learns it all at
//! once; what is not taken is unknown.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use serde_json::{Map, Value};
use shared::model::Progress;

use crate::idempotency::digest;
use crate::problem::{ApiError, FieldError};

/// How many errors an answer lists: it must not grow with what is sent.
const MAX_ERRORS: usize = 20;
/// How much of an unknown field's name is shown.
const MAX_NAME_CHARS: usize = 64;

/// What a text may be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum TextRule {
    /// A name: this many characters, not blank, none of them a control character.
    Name(usize),
    /// A message: this many bytes of whatever characters.
    Message(usize),
}

impl TextRule {
    fn check(self, text: &str) -> Result<(), String> {
        match self {
            Self::Name(most) if !(1..=most).contains(&text.chars().count()) => {
                Err(format!("must be 1 to {most} characters"))
            }
            Self::Name(_) if text.chars().any(char::is_control) => {
                Err("must not have control characters".to_owned())
            }
            Self::Name(_) if text.trim().is_empty() => Err("must not be blank".to_owned()),
            Self::Message(most) if text.len() > most => {
                Err(format!("must be at most {most} bytes"))
            }
            _ => Ok(()),
        }
    }
}

/// Fields that are yet to be taken, and what was wrong with those taken. A field that is `null` counts as
/// absent.
#[derive(Debug, Clone)]
pub(crate) struct Fields {
    given: BTreeMap<String, Value>,
    errors: Vec<FieldError>,
}

impl Fields {
    /// The members of an object, in the order they were written.
    pub(crate) fn new(members: Vec<(String, Value)>) -> Self {
        let mut fields = Self {
            given: BTreeMap::new(),
            errors: Vec::new(),
        };
        for (name, value) in members {
            if fields.given.insert(name.clone(), value).is_some() {
                fields.reject(shortened(&name), "must be given once");
            }
        }
        fields
    }

    /// The fields of `document` after these, a merge patch (RFC 7396), are merged into it. Those that the document
    /// does not have are unknown.
    pub(crate) fn merged_into(self, document: Map<String, Value>) -> Self {
        let Self { given, mut errors } = self;
        for name in given.keys().filter(|name| !document.contains_key(*name)) {
            let field = shortened(name);
            let detail = "is not a field that can be changed".to_owned();
            errors.push(FieldError { field, detail });
        }
        let known = given.into_iter();
        let known = known.filter(|(name, _)| document.contains_key(name));
        let patch = Value::Object(known.collect());
        let mut merged = Value::Object(document);
        json_patch::merge(&mut merged, &patch);
        let given = match merged {
            Value::Object(merged) => merged.into_iter().collect(),
            _ => BTreeMap::new(), // never: both are objects
        };
        Self { given, errors }
    }

    /// A digest of what was given, whatever the order and the white space.
    pub(crate) fn digest(&self) -> String {
        let json = serde_json::to_vec(&self.given);
        digest(&[&json.expect("values that were read from JSON can be written")])
    }

    /// Notes what is wrong with a field.
    pub(crate) fn reject(&mut self, field: impl Into<String>, detail: impl Display) {
        self.errors.push(FieldError {
            field: field.into(),
            detail: detail.to_string(),
        });
    }

    /// A field that must be there; `taken` is what taking it gave. Whatever stands in for it is never
    /// seen: [`Fields::finish`] fails.
    pub(crate) fn require<T>(&mut self, name: &str, taken: Option<T>) -> Option<T> {
        let is_known = |error: &FieldError| error.field == name;
        if taken.is_none() && !self.errors.iter().any(is_known) {
            self.reject(name, "is required");
        }
        taken
    }

    /// A text.
    pub(crate) fn text(&mut self, name: &str, rule: TextRule) -> Option<String> {
        match self.take(name)? {
            Value::String(text) => match rule.check(&text) {
                Ok(()) => return Some(text),
                Err(detail) => self.reject(name, detail),
            },
            _ => self.reject(name, "must be a string"),
        }
        None
    }

    /// An id. Those that a path takes for steps within itself could never be asked for.
    pub(crate) fn id<T>(&mut self, name: &str) -> Option<T>
    where
        T: FromStr<Err: Display>,
    {
        let given = self.given.get(name).and_then(Value::as_str);
        if matches!(given, Some("." | "..")) {
            self.given.remove(name);
            self.reject(name, "must be more than a dot or two");
        }
        self.parsed(name)
    }

    /// A text that stands for a value: an id that exists already, or a word out of a set.
    pub(crate) fn parsed<T>(&mut self, name: &str) -> Option<T>
    where
        T: FromStr<Err: Display>,
    {
        match self.take(name)? {
            Value::String(text) => match text.parse() {
                Ok(value) => return Some(value),
                Err(error) => self.reject(name, error),
            },
            _ => self.reject(name, "must be a string"),
        }
        None
    }

    /// An object of the caller's own, of at most `most` bytes.
    pub(crate) fn object(&mut self, name: &str, most: usize) -> Option<Map<String, Value>> {
        match self.take(name)? {
            Value::Object(object) => {
                let bytes = serde_json::to_vec(&object).map_or(usize::MAX, |json| json.len());
                if bytes <= most {
                    return Some(object);
                }
                self.reject(name, format!("must be at most {most} bytes of JSON"));
            }
            _ => self.reject(name, "must be an object"),
        }
        None
    }

    /// A list of at most `most` texts.
    pub(crate) fn texts(&mut self, name: &str, most: usize, rule: TextRule) -> Vec<String> {
        let values = match self.take(name) {
            None => return Vec::new(),
            Some(Value::Array(values)) if values.len() <= most => values,
            Some(_) => {
                self.reject(name, format!("must be a list of at most {most} strings"));
                return Vec::new();
            }
        };
        let mut texts = Vec::new();
        for (index, value) in values.into_iter().enumerate() {
            let name = format!("{name}[{index}]");
            match value {
                Value::String(text) => match rule.check(&text) {
                    Ok(()) => texts.push(text),
                    Err(detail) => self.reject(name, detail),
                },
                _ => self.reject(name, "must be a string"),
            }
        }
        texts
    }

    /// How far something is, as it was given.
    pub(crate) fn progress(&mut self, name: &str) -> Option<Progress> {
        let members = match self.take(name)? {
            Value::Object(members) => members,
            _ => {
                self.reject(name, "must be an object");
                return None;
            }
        };
        let mut inner = Self::new(members.into_iter().collect());
        let current = inner.number("current", u64::MAX);
        let total = inner.number("total", u64::MAX);
        let percentage = inner.number("percentage", 100);
        inner.reject_unknown();
        for error in inner.errors {
            self.reject(format!("{name}.{}", error.field), error.detail);
        }
        Some(Progress {
            current,
            total,
            percentage: percentage.and_then(|percentage| u8::try_from(percentage).ok()),
        })
    }

    /// Ends the taking: an error if anything was wrong, or is left over.
    pub(crate) fn finish(mut self) -> Result<(), ApiError> {
        self.reject_unknown();
        if self.errors.is_empty() {
            return Ok(());
        }
        self.errors.truncate(MAX_ERRORS);
        Err(ApiError::InvalidFields(self.errors))
    }

    fn number(&mut self, name: &str, most: u64) -> Option<u64> {
        let number = whole(&self.take(name)?).filter(|number| *number <= most);
        if number.is_none() {
            self.reject(name, format!("must be a whole number from 0 to {most}"));
        }
        number
    }

    fn reject_unknown(&mut self) {
        for name in std::mem::take(&mut self.given).into_keys() {
            self.reject(shortened(&name), "is not a known field");
        }
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.given.remove(name).filter(|value| !value.is_null())
    }
}

/// A whole number, also one that is written as `8.0` or `8e2`: to JSON these are the same. Beyond 2^53 such a text
/// no longer tells which number is meant.
fn whole(value: &Value) -> Option<u64> {
    const MOST: f64 = 9_007_199_254_740_992.0;
    let written_otherwise = || {
        let number = value.as_f64().filter(|number| number.fract() == 0.0);
        let number = number.filter(|number| (0.0..=MOST).contains(number))?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is whole, and in the range"
        )]
        Some(number as u64)
    };
    value.as_u64().or_else(written_otherwise)
}

fn shortened(name: &str) -> String {
    name.chars().take(MAX_NAME_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_number_is_written_in_several_ways() {
        let check = |json: &str, expected| {
            let value = serde_json::from_str(json).unwrap();
            assert_eq!(whole(&value), expected, "{json}");
        };
        check("8", Some(8));
        check("8.0", Some(8));
        check("8e2", Some(800));
        check("-0.0", Some(0));
        check("18446744073709551615", Some(u64::MAX));
        check("9007199254740992.0", Some(9_007_199_254_740_992));
        for other in [
            "8.5",
            "-1",
            "-1.0",
            "18446744073709551616",
            "1e300",
            "\"8\"",
            "true",
        ] {
            check(other, None);
        }
    }
}
