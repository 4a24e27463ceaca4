//! A `serde` deserializer that reports every wrong field, not only the first.
//!
//! `serde` stops at its first error. [`from_value`] notes where that error is and starts again
//! without that value, until no new error comes up.

use std::collections::BTreeSet;
use std::iter::Enumerate;
use std::{fmt, slice, vec};

use serde::de::value::{StrDeserializer, StringDeserializer};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error as _, Expected, IntoDeserializer as _,
    MapAccess, SeqAccess, Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value};

use crate::problem::FieldError;

/// The most errors that a response lists, so that it does not grow with the request.
pub(super) const MAX_ERRORS: usize = 20;
/// The most characters of an unknown field's name that a response repeats.
const MAX_NAME_CHARS: usize = 64;
/// The value of a field that was left out.
const ABSENT: &Value = &Value::Null;

/// Deserializes an object. A field that is null counts as left out.
///
/// `given` has the members that the client sent. Those that `T` does not have are errors, with the
/// message `unknown_field`. Other members of `object` that `T` does not have are ignored.
///
/// # Errors
///
/// What is wrong with each field: at most [`MAX_ERRORS`], each field once.
pub(super) fn from_value<T: DeserializeOwned>(
    object: &Value,
    given: &Map<String, Value>,
    unknown_field: &'static str,
) -> Result<T, Vec<FieldError>> {
    let mut errors = Vec::new();
    let mut context = Context {
        unknown_field,
        skipped: BTreeSet::new(),
    };
    while errors.len() < MAX_ERRORS {
        let root = Node {
            value: object,
            given: Some(given),
            path: &Path::Root,
            context: &context,
        };
        let error = match T::deserialize(root) {
            Ok(body) if errors.is_empty() => return Ok(body),
            Ok(_) => break,
            Err(error) => error,
        };
        let path = error.path.unwrap_or_default();
        let is_new = context.skipped.insert(path.clone());
        if is_new && !error.is_missing_field {
            errors.push(FieldError {
                field: path,
                detail: error.detail,
            });
        } else if !is_new || path.is_empty() {
            // All other fields are read; the missing one was skipped and is in `errors`.
            break;
        }
    }
    Err(errors)
}

/// What all values of one pass have in common.
struct Context {
    /// The message for an unknown field.
    unknown_field: &'static str,
    /// The paths of the values that earlier passes found wrong.
    skipped: BTreeSet<String>,
}

/// Where a value is: `progress.total`, `match[3]`.
#[derive(Clone, Copy)]
enum Path<'a> {
    Root,
    Field(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Path::Root, name) => formatter.write_str(&shortened(name)),
            Self::Field(parent, name) => write!(formatter, "{parent}.{}", shortened(name)),
            Self::Index(parent, index) => write!(formatter, "{parent}[{index}]"),
        }
    }
}

/// The part of a field's name that a response repeats.
pub(super) fn shortened(name: &str) -> String {
    name.chars().take(MAX_NAME_CHARS).collect()
}

/// Why a value can't be deserialized.
#[derive(Debug)]
struct Mismatch {
    /// Where the value is; `None` until the object or list around it adds it.
    path: Option<String>,
    detail: String,
    is_missing_field: bool,
}

impl Mismatch {
    fn at(mut self, path: Path<'_>) -> Self {
        self.path.get_or_insert_with(|| path.to_string());
        self
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.detail)
    }
}

impl std::error::Error for Mismatch {}

impl serde::de::Error for Mismatch {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self {
            path: None,
            detail: message.to_string(),
            is_missing_field: false,
        }
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("must be {expected}"))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::custom(format_args!("must be one of {}", expected.join(", ")))
    }

    fn missing_field(_: &'static str) -> Self {
        Self {
            is_missing_field: true,
            ..Self::custom("is required")
        }
    }
}

/// A value, and where it is.
#[derive(Clone, Copy)]
struct Node<'a> {
    value: &'a Value,
    /// The members to look for unknown fields in, if they are not those of `value`.
    given: Option<&'a Map<String, Value>>,
    path: &'a Path<'a>,
    context: &'a Context,
}

impl<'a> Node<'a> {
    fn members(self, entries: impl Iterator<Item = (&'a str, Option<&'a Value>)>) -> Members<'a> {
        let Context { skipped, .. } = self.context;
        let is_wanted = |name: &str| {
            skipped.is_empty() || !skipped.contains(&Path::Field(self.path, name).to_string())
        };
        Members {
            entries: entries
                .filter(|(name, _)| is_wanted(name))
                .collect::<Vec<_>>()
                .into_iter(),
            value: None,
            parent: self,
        }
    }
}

impl<'de> Deserializer<'de> for Node<'_> {
    type Error = Mismatch;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => {
                if let Some(number) = number.as_u64() {
                    visitor.visit_u64(number)
                } else if let Some(number) = number.as_i64() {
                    visitor.visit_i64(number)
                } else {
                    visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN))
                }
            }
            Value::String(text) => visitor.visit_str(text),
            Value::Array(_) => self.deserialize_seq(visitor),
            Value::Object(object) => {
                let entries = object
                    .iter()
                    .map(|(name, value)| (name.as_str(), Some(value)));
                visitor.visit_map(self.members(entries))
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        if self.value.is_null() {
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match whole_number(self.value) {
            Some(number) => visitor.visit_u64(number),
            None => Err(Mismatch::custom(format_args!(
                "must be a whole number from 0 to {}",
                u64::MAX
            ))),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        match self.value {
            Value::String(text) => {
                let variant: StrDeserializer<'_, Mismatch> = text.as_str().into_deserializer();
                visitor.visit_enum(variant)
            }
            _ => Err(Mismatch::custom("must be a string")),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.value {
            Value::Array(values) => visitor.visit_seq(Elements {
                values: values.iter().enumerate(),
                parent: self,
            }),
            _ => Err(Mismatch::custom("must be a list")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        let Value::Object(object) = self.value else {
            return Err(Mismatch::custom("must be an object"));
        };
        let known = fields
            .iter()
            .map(|name| (*name, Some(object.get(*name).unwrap_or(ABSENT))));
        let unknown = self.given.unwrap_or(object).keys().map(String::as_str);
        let unknown = unknown.filter(|name| !fields.contains(name));
        visitor.visit_map(self.members(known.chain(unknown.map(|name| (name, None)))))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct tuple tuple_struct map identifier ignored_any
    }
}

/// The members of an object, those without a value being unknown fields.
struct Members<'a> {
    entries: vec::IntoIter<(&'a str, Option<&'a Value>)>,
    /// The member whose name was read last.
    value: Option<(&'a str, &'a Value)>,
    parent: Node<'a>,
}

impl<'de> MapAccess<'de> for Members<'_> {
    type Error = Mismatch;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Mismatch> {
        let Some((name, value)) = self.entries.next() else {
            return Ok(None);
        };
        let Some(value) = value else {
            let path = Path::Field(self.parent.path, name);
            return Err(Mismatch::custom(self.parent.context.unknown_field).at(path));
        };
        self.value = Some((name, value));
        let name: StringDeserializer<Mismatch> = name.to_owned().into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Mismatch> {
        let (name, value) = self.value.take().expect("a name was read before its value");
        let path = Path::Field(self.parent.path, name);
        let node = Node {
            value,
            given: None,
            path: &path,
            context: self.parent.context,
        };
        seed.deserialize(node).map_err(|error| {
            if value.is_null() {
                return Mismatch::custom("is required").at(path);
            }
            error.at(path)
        })
    }
}

/// The elements of a list.
struct Elements<'a> {
    values: Enumerate<slice::Iter<'a, Value>>,
    parent: Node<'a>,
}

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = Mismatch;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Mismatch> {
        let Context { skipped, .. } = self.parent.context;
        for (index, value) in self.values.by_ref() {
            let path = Path::Index(self.parent.path, index);
            if !skipped.is_empty() && skipped.contains(&path.to_string()) {
                continue;
            }
            let node = Node {
                value,
                given: None,
                path: &path,
                context: self.parent.context,
            };
            return seed
                .deserialize(node)
                .map(Some)
                .map_err(|error| error.at(path));
        }
        Ok(None)
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
        (0.0..=MAX_EXACT).contains(&number).then(|| number as u64)
    };
    value.as_u64().or_else(from_float)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only errors are looked at")]
    struct Outer {
        name: String,
        kind: Kind,
        size: Option<u64>,
        inner: Option<Inner>,
        list: Option<Vec<String>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only errors are looked at")]
    struct Inner {
        first: bool,
        second: Option<u64>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        Build,
        Other,
    }

    fn errors(body: Value) -> Vec<String> {
        let given = body.as_object().unwrap().clone();
        let read = from_value::<Outer>(&body, &given, "is unknown");
        let errors = read.err().unwrap_or_default();
        let shown = errors
            .iter()
            .map(|error| format!("{} {}", error.field, error.detail));
        shown.collect()
    }

    #[test]
    fn every_wrong_field_is_named_once() {
        assert_eq!(errors(json!({"name": "a", "kind": "build"})), [""; 0]);
        assert_eq!(
            errors(json!({"size": null})),
            ["name is required", "kind is required"]
        );
        let body = json!({
            "name": 1, "kind": "bridge", "size": -1, "other": 1, "another": null,
            "inner": {"first": 1, "second": "x", "third": 3},
            "list": ["a", 1, "b", null],
        });
        assert_eq!(
            errors(body),
            [
                "name must be a string",
                "kind must be one of build, other",
                "size must be a whole number from 0 to 18446744073709551615",
                "inner.first must be a boolean",
                "inner.second must be a whole number from 0 to 18446744073709551615",
                "inner.third is unknown",
                "list[1] must be a string",
                "list[3] must be a string",
                "another is unknown",
                "other is unknown",
            ]
        );
        let wrong_types = json!({"name": "a", "kind": 1, "inner": [true], "list": "a"});
        assert_eq!(
            errors(wrong_types),
            [
                "kind must be a string",
                "inner must be an object",
                "list must be a list"
            ]
        );
        let nested = json!({"name": "a", "kind": "other", "inner": {}, "size": 1.5});
        assert_eq!(
            errors(nested),
            [
                "size must be a whole number from 0 to 18446744073709551615",
                "inner.first is required"
            ]
        );
    }

    #[test]
    fn the_number_of_errors_is_limited() {
        let body: Map<String, Value> = (0..99).map(|n| (format!("f{n}"), json!(n))).collect();
        assert_eq!(errors(Value::Object(body)).len(), MAX_ERRORS);
        let long_name = json!({"name": "a", "kind": "build", "x".repeat(99): 1});
        let shortened = format!("{} is unknown", "x".repeat(MAX_NAME_CHARS));
        assert_eq!(errors(long_name), [shortened]);
    }

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
