//! Reads an object as a struct and reports every wrong field, not only the first.
//!
//! `serde` stops at its first error. [`from_object`] notes that error, takes the wrong value out
//! and reads again, until no new error comes up.

use json_patch::jsonptr::PointerBuf;
use serde::de::value::Error as NamesError;
use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value};
use serde_path_to_error::{Path, Segment};

use crate::problem::FieldError;

/// The most errors that a response lists, so that it does not grow with the request.
pub(super) const MAX_ERRORS: usize = 20;
/// The most characters of a field's name that a response repeats.
const MAX_NAME_CHARS: usize = 64;

/// Reads an object as a `T`. A field that is null counts as left out.
///
/// `given` has the members that the client sent. Those that `T` does not have are errors, with the
/// message `unknown_field`. Other members of `object` that `T` does not have are ignored.
///
/// # Errors
///
/// The errors of all fields: at most [`MAX_ERRORS`]. The fields of `T` come first.
pub(super) fn from_object<T: DeserializeOwned>(
    mut object: Value,
    given: &Map<String, Value>,
    unknown_field: &'static str,
) -> Result<T, Vec<FieldError>> {
    let names = field_names::<T>();
    // `serde` names only the first absent field. An absent field becomes null to get its own error.
    let fields = names.iter().map(|&name| (name, object[name].take()));
    let mut fields: Value = fields.collect();
    let mut errors = Vec::new();
    let body = loop {
        let error = match serde_path_to_error::deserialize::<_, T>(&fields) {
            Ok(body) => break Some(body),
            Err(error) => error,
        };
        let message = error.inner().to_string();
        let missing = message.strip_prefix("missing field `");
        let missing = missing.and_then(|name| name.strip_suffix('`'));
        let (field, pointer) = locate(error.path(), missing, &errors);
        let is_in_list = field.ends_with(']');
        let is_null = pointer.delete(&mut fields) == Some(Value::Null) && !is_in_list;
        let detail = if message.starts_with("unknown field `") {
            unknown_field.to_owned()
        } else if is_null || missing.is_some() {
            "is required".to_owned()
        } else {
            detail(&message)
        };
        // A required field that was taken out is missing now. That is not a second error.
        if missing.is_none() || errors.iter().all(|error: &FieldError| error.field != field) {
            errors.push(FieldError { field, detail });
        }
        // `serde` looks for missing fields after it has read all others.
        if errors.len() == MAX_ERRORS || pointer.is_root() {
            break None;
        }
    };
    let unknown = given.keys().filter(|name| !names.contains(&name.as_str()));
    let unlisted = MAX_ERRORS - errors.len();
    errors.extend(unknown.take(unlisted).map(|name| FieldError {
        field: shortened(name),
        detail: unknown_field.to_owned(),
    }));
    body.filter(|_| errors.is_empty()).ok_or(errors)
}

/// The part of a field's name that a response repeats.
pub(super) fn shortened(name: &str) -> String {
    name.chars().take(MAX_NAME_CHARS).collect()
}

/// The name of a field, like `progress.total` or `match[3]`, and where its value is now.
///
/// If a field is `missing`, the pointer is that of the object around it.
fn locate(path: &Path, missing: Option<&str>, errors: &[FieldError]) -> (String, PointerBuf) {
    let mut field = String::new();
    let mut pointer = PointerBuf::new();
    for segment in path {
        if let Segment::Seq { index } = segment {
            field += "[";
            // Wrong elements before this one are gone, each with one error: no list has objects.
            let errors = errors.iter();
            let taken_out = errors.filter(|error| error.field.starts_with(&field));
            field += &format!("{}]", index + taken_out.count());
            pointer.push_back(*index);
        } else {
            let name = segment.to_string();
            append(&mut field, &name);
            pointer.push_back(name);
        }
    }
    if let Some(name) = missing {
        append(&mut field, name);
    }
    (shortened(&field), pointer)
}

fn append(field: &mut String, name: &str) {
    if !field.is_empty() {
        field.push('.');
    }
    field.push_str(name);
}

/// Says what the value must be. `serde` writes "invalid type: null, expected a string", where the
/// first part can repeat the value.
fn detail(message: &str) -> String {
    match message.rsplit_once(", expected ") {
        Some((_, "a sequence")) => "must be a list".to_owned(),
        Some((_, expected)) => format!("must be {expected}"),
        None => message.to_owned(), // a message of `field_types`
    }
}

/// The names of the fields of the struct `T`.
fn field_names<T: DeserializeOwned>() -> &'static [&'static str] {
    struct Names<'a>(&'a mut &'static [&'static str]);

    impl<'de> Deserializer<'de> for Names<'_> {
        type Error = NamesError;

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            visitor: V,
        ) -> Result<V::Value, NamesError> {
            *self.0 = fields;
            self.deserialize_any(visitor)
        }

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, NamesError> {
            Err(NamesError::custom("there are only names"))
        }

        forward_to_deserialize_any! {
            bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit
            unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }

    let mut names: &[&str] = &[];
    drop(T::deserialize(Names(&mut names)));
    names
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;
    use shared::model::TaskType;

    use super::*;
    use crate::json_body::field_types::{Object, OneOf, WholeNumber};

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only errors are looked at")]
    struct Outer {
        name: String,
        kind: OneOf<TaskType>,
        size: Option<WholeNumber>,
        inner: Option<Object<Inner>>,
        list: Option<Vec<String>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only errors are looked at")]
    struct Inner {
        first: bool,
        second: Option<WholeNumber>,
    }

    fn errors(body: Value) -> Vec<String> {
        let given = body.as_object().unwrap().clone();
        let read = from_object::<Outer>(body, &given, "is unknown");
        let errors = read.err().unwrap_or_default();
        let shown = errors
            .iter()
            .map(|error| format!("{} {}", error.field, error.detail));
        let mut shown: Vec<_> = shown.collect();
        shown.sort();
        shown
    }

    #[test]
    fn every_wrong_field_is_named_once() {
        assert_eq!(errors(json!({"name": "a", "kind": "build"})), [""; 0]);
        assert_eq!(
            errors(json!({"size": null})),
            ["kind is required", "name is required"]
        );
        let body = json!({
            "name": 1, "kind": "bridge", "size": -1, "other": 1, "another": null,
            "inner": {"first": 1, "second": "x", "third": 3, "fourth": null},
            "list": ["a", 1, "b", null],
        });
        assert_eq!(
            errors(body),
            [
                "another is unknown",
                "inner.first must be a boolean",
                "inner.fourth is unknown",
                "inner.second must be a whole number from 0 to 18446744073709551615",
                "inner.third is unknown",
                "kind must be one of cdk_deploy, agent_execution, build, other",
                "list[1] must be a string",
                "list[3] must be a string",
                "name must be a string",
                "other is unknown",
                "size must be a whole number from 0 to 18446744073709551615",
            ]
        );
        let wrong_types = json!({"name": "a", "kind": 1, "inner": [true], "list": "a"});
        assert_eq!(
            errors(wrong_types),
            [
                "inner must be an object",
                "kind must be a string",
                "list must be a list"
            ]
        );
        let not_a_name = json!({"name": "a", "kind": {"build": null}, "inner": {"first": null}});
        assert_eq!(
            errors(not_a_name),
            ["inner.first is required", "kind must be a string"]
        );
        let nested = json!({"name": "a", "kind": "other", "inner": {}, "size": 1.5});
        assert_eq!(
            errors(nested),
            [
                "inner.first is required",
                "size must be a whole number from 0 to 18446744073709551615"
            ]
        );
    }

    #[test]
    fn a_value_is_not_repeated() {
        let text = ", expected x` at line 1 column 1";
        let body = json!({"name": "a", "kind": text, "inner": text, "list": [[text]]});
        assert_eq!(
            errors(body),
            [
                "inner must be an object",
                "kind must be one of cdk_deploy, agent_execution, build, other",
                "list[0] must be a string",
            ]
        );
    }

    #[test]
    fn the_number_of_errors_is_limited() {
        let body: Map<String, Value> = (0..99).map(|n| (format!("f{n}"), json!(n))).collect();
        assert_eq!(errors(Value::Object(body.clone())).len(), MAX_ERRORS);
        let nested = json!({"name": "a", "kind": "build", "inner": body});
        assert_eq!(errors(nested).len(), MAX_ERRORS);
        let long_name = json!({"name": "a", "kind": "build", "x".repeat(99): 1});
        let shortened = format!("{} is unknown", "x".repeat(MAX_NAME_CHARS));
        assert_eq!(errors(long_name), [shortened]);
    }
}
