//! The types of fields in request bodies: each checks its limits when it is deserialized.
//!
//! In tests each type has the OpenAPI schema with the same limits.

use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, Visitor};
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

/// One of the names of an enum.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OneOf<T>(T);

/// An object with the fields of `T`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Object<T>(T);

/// An object of the caller's own.
#[derive(Debug, Clone)]
pub(crate) struct Metadata(Map<String, Value>);

/// A whole number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WholeNumber(u64);

/// A whole number from 0 to 100.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Percentage(u8);

/// How far something is. If both numbers are given, the API computes the percentage from them.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(crate) struct NewProgress {
    /// Steps done.
    #[cfg_attr(
        test,
        schema(value_type = Option<u64>, minimum = 0, maximum = 18446744073709551615_usize)
    )]
    current: Option<WholeNumber>,
    /// Steps in total.
    #[cfg_attr(
        test,
        schema(value_type = Option<u64>, minimum = 0, maximum = 18446744073709551615_usize)
    )]
    total: Option<WholeNumber>,
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
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(D::Error::custom)
    }
}

impl<'de, T: FromStr<Err: Display>> Deserialize<'de> for OneOf<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // What `serde` derives for an enum takes `{"build": null}`, too.
        let name = String::deserialize(deserializer)?;
        name.parse().map(Self).map_err(D::Error::custom)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // What `serde` derives for a struct takes a list of the fields' values, too.
        struct ObjectVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
            type Value = Object<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members)).map(Object)
            }
        }

        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
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

impl<'de> Deserialize<'de> for WholeNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = whole_number(&Value::deserialize(deserializer)?);
        let message = format_args!("must be a whole number from 0 to {}", u64::MAX);
        number.map(Self).ok_or_else(|| D::Error::custom(message))
    }
}

impl<'de> Deserialize<'de> for Percentage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = whole_number(&Value::deserialize(deserializer)?);
        let percentage = number.and_then(|number| u8::try_from(number).ok());
        let percentage = percentage.filter(|percentage| *percentage <= 100);
        let message = "must be a whole number from 0 to 100";
        percentage
            .map(Self)
            .ok_or_else(|| D::Error::custom(message))
    }
}

/// Reads a whole number, also one that is written `8.0` or `8e2`: JSON does not tell them apart.
///
/// Above 2^53 such a spelling is refused, because the float does not say which number is meant.
fn whole_number(value: &Value) -> Option<u64> {
    const MAX_EXACT: f64 = 9_007_199_254_740_992.0;
    let from_float = || {
        let number = value.as_f64().filter(|number| number.fract() == 0.0)?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the number is whole and in the range"
        )]
        (0.0..=MAX_EXACT).contains(&number).then_some(number as u64)
    };
    value.as_u64().or_else(from_float)
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

impl<T> OneOf<T> {
    pub(crate) fn into_inner(self) -> T {
        self.0
    }
}

impl From<Metadata> for Map<String, Value> {
    fn from(Metadata(object): Metadata) -> Self {
        object
    }
}

impl From<Object<NewProgress>> for Progress {
    fn from(Object(progress): Object<NewProgress>) -> Self {
        Self {
            current: progress.current.map(|WholeNumber(number)| number),
            total: progress.total.map(|WholeNumber(number)| number),
            percentage: progress.percentage.map(|Percentage(percentage)| percentage),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_number_can_be_written_in_several_ways() {
        let check = |json: &str, expected| {
            let value = serde_json::from_str(json).unwrap();
            assert_eq!(whole_number(&value), expected, "{json}");
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
