//! The types of fields in request bodies: each checks its limits when it is deserialized.
//!
//! In tests each type has the OpenAPI schema with the same limits.

use std::fmt::Display;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use shared::model::{MAX_MESSAGE_BYTES, MAX_METADATA_BYTES, MAX_NAME_CHARS, Progress};

#[cfg(test)]
use crate::openapi::text_schema::{name, text, text_schema};

/// The most prefixes in `match`.
const MAX_PREFIXES: usize = 20;
/// The longest prefix, in characters.
const MAX_PREFIX_CHARS: usize = 128;

/// A text of 1 to 256 characters without control characters, and not blank.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Name(String);

/// A text of at most 1,024 bytes in UTF-8.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Message(String);

/// The start of a stack name or of a log stream name.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Prefix(String);

/// At most 20 prefixes.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(try_from = "Vec<Prefix>")]
pub(crate) struct Prefixes(Vec<Prefix>);

/// An id of a task or a project.
#[derive(Debug, Clone)]
pub(crate) struct Id<T>(T);

/// An object of the caller's own.
#[derive(Debug, Clone)]
pub(crate) struct Metadata(Map<String, Value>);

/// A whole number from 0 to 100.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Percentage(u8);

/// How far something is. If both numbers are given, the API computes the percentage from them.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(crate) struct NewProgress {
    /// Steps done.
    #[cfg_attr(test, schema(minimum = 0, maximum = 18446744073709551615_usize))]
    current: Option<u64>,
    /// Steps in total.
    #[cfg_attr(test, schema(minimum = 0, maximum = 18446744073709551615_usize))]
    total: Option<u64>,
    /// The share that is done.
    #[cfg_attr(test, schema(value_type = Option<u8>, minimum = 0, maximum = 100))]
    percentage: Option<Percentage>,
}

#[cfg(test)]
text_schema! {
    /// A name for people.
    Name = name(MAX_NAME_CHARS);
    /// A text of at most 1,024 bytes in UTF-8.
    Message = text(0, MAX_MESSAGE_BYTES);
    /// The start of a stack name or of a log stream name.
    Prefix = name(MAX_PREFIX_CHARS);
}

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        check_name(&text, MAX_NAME_CHARS).map(|()| Self(text))
    }
}

impl TryFrom<String> for Prefix {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        check_name(&text, MAX_PREFIX_CHARS).map(|()| Self(text))
    }
}

fn check_name(text: &str, max_chars: usize) -> Result<(), String> {
    if !(1..=max_chars).contains(&text.chars().count()) {
        return Err(format!("must be 1 to {max_chars} characters"));
    }
    if text.chars().any(char::is_control) {
        return Err("must not contain control characters".to_owned());
    }
    if text.trim().is_empty() {
        return Err("must not be blank".to_owned());
    }
    Ok(())
}

impl TryFrom<String> for Message {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        // The descriptions of projects have the same limit.
        if text.len() > MAX_MESSAGE_BYTES {
            return Err(format!("must be at most {MAX_MESSAGE_BYTES} bytes"));
        }
        Ok(Self(text))
    }
}

impl TryFrom<Vec<Prefix>> for Prefixes {
    type Error = String;

    fn try_from(prefixes: Vec<Prefix>) -> Result<Self, String> {
        if prefixes.len() > MAX_PREFIXES {
            return Err(format!("must have at most {MAX_PREFIXES} entries"));
        }
        Ok(Self(prefixes))
    }
}

impl<'de, T: FromStr<Err: Display>> Deserialize<'de> for Id<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;

        let text = String::deserialize(deserializer)?;
        // HTTP clients resolve these two segments of a path, so no request could name the id.
        if matches!(text.as_str(), "." | "..") {
            return Err(D::Error::custom("must not be . or .."));
        }
        text.parse().map(Self).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;

        let Value::Object(object) = Value::deserialize(deserializer)? else {
            return Err(D::Error::custom("must be an object"));
        };
        let bytes = serde_json::to_vec(&object).map_or(usize::MAX, |json| json.len());
        if bytes > MAX_METADATA_BYTES {
            let message = format!("must be at most {MAX_METADATA_BYTES} bytes of JSON");
            return Err(D::Error::custom(message));
        }
        Ok(Self(object))
    }
}

impl<'de> Deserialize<'de> for Percentage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;

        let number = u64::deserialize(deserializer).ok();
        let percentage = number.and_then(|number| u8::try_from(number).ok());
        let percentage = percentage.filter(|percentage| *percentage <= 100);
        let message = "must be a whole number from 0 to 100";
        percentage
            .map(Self)
            .ok_or_else(|| D::Error::custom(message))
    }
}

impl From<Name> for String {
    fn from(Name(text): Name) -> Self {
        text
    }
}

impl From<Message> for String {
    fn from(Message(text): Message) -> Self {
        text
    }
}

impl From<Prefixes> for Vec<String> {
    fn from(Prefixes(prefixes): Prefixes) -> Self {
        prefixes.into_iter().map(|Prefix(text)| text).collect()
    }
}

impl<T> Id<T> {
    pub(crate) fn into_inner(self) -> T {
        self.0
    }
}

impl From<Metadata> for Map<String, Value> {
    fn from(Metadata(object): Metadata) -> Self {
        object
    }
}

impl From<NewProgress> for Progress {
    fn from(progress: NewProgress) -> Self {
        Self {
            current: progress.current,
            total: progress.total,
            percentage: progress.percentage.map(|Percentage(percentage)| percentage),
        }
    }
}
