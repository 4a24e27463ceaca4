//! JSON objects on a line: reads the text inside them, also if the object is cut off.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The longest name of a field that some parser reads, in bytes.
const MAX_NAME_BYTES: usize = 48;

/// The fields of an object, in order. Their values are not decoded.
#[derive(Debug, Default)]
pub(super) struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Object<'a> {
    /// The value of the field `name`; `None` if it is absent or null. Of several fields of one
    /// name, the first counts.
    pub(super) fn get(&self, name: &str) -> Option<&'a RawValue> {
        let (_, value) = self.0.iter().find(|(known, _)| known == name)?;
        Some(*value).filter(|value| value.get() != "null")
    }

    /// The value of the first of these fields that is there.
    pub(super) fn first(&self, names: &[&str]) -> Option<&'a RawValue> {
        names.iter().find_map(|name| self.get(name))
    }

    /// The value of a field that is a string.
    pub(super) fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        string(self.get(name)?)
    }

    /// The value of a field that is an object.
    pub(super) fn object(&self, name: &str) -> Option<Object<'a>> {
        object(self.get(name)?)
    }

    /// The objects in a field that is a list.
    pub(super) fn objects(&self, name: &str) -> Vec<Object<'a>> {
        let list = self.get(name).map(RawValue::get);
        let list = list.and_then(|list| serde_json::from_str::<Vec<&RawValue>>(list).ok());
        list.unwrap_or_default()
            .into_iter()
            .filter_map(object)
            .collect()
    }

    /// The names and values of all fields.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), *value))
    }

    /// The log text inside the object, or the nested object that contains it.
    pub(super) fn wrapped(&self) -> Option<Cow<'a, str>> {
        const TEXTS: [&str; 7] = ["log", "message", "MESSAGE", "msg", "line", "text", "event"];
        /// Fields in which loggers nest a record.
        const RECORDS: [&str; 4] = ["fields", "data", "payload", "detail"];
        let texts = TEXTS.iter().filter_map(|name| self.get(name));
        texts.clone().find_map(string).or_else(|| {
            let mut objects = texts.chain(RECORDS.iter().filter_map(|name| self.get(name)));
            let object = objects.find(|field| field.get().starts_with('{'))?;
            Some(Cow::Borrowed(object.get()))
        })
    }
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Object<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(Text(name)) = map.next_key()? {
                    if name.len() > MAX_NAME_BYTES {
                        map.next_value::<IgnoredAny>()?;
                    } else {
                        fields.push((name, map.next_value()?));
                    }
                }
                Ok(Object(fields))
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Decodes a JSON string; `None` if the value is not a string.
pub(super) fn string(value: &RawValue) -> Option<Cow<'_, str>> {
    let text: Text<'_> = serde_json::from_str(value.get()).ok()?;
    Some(text.0)
}

/// The level in upper case and the last line of the message of a log record in JSON, which other
/// objects may wrap. `None` if `text` is no object or has neither.
pub(crate) fn level_and_message(text: &str) -> Option<String> {
    let mut level = None;
    let mut message: Option<String> = None;
    for _ in 0..super::MAX_DEPTH {
        let object = message.as_deref().unwrap_or(text);
        if !object.starts_with('{') {
            break;
        }
        let wrapped = match parse(object) {
            Ok(object) => {
                level = level.or_else(|| self::level(&object));
                object.wrapped().map(Cow::into_owned)
            }
            Err(_) => salvage(object),
        };
        let Some(wrapped) = wrapped else { break };
        message = Some(wrapped.trim().to_owned());
    }
    let message = message.map(|message| message.lines().next_back().unwrap_or_default().to_owned());
    match (level, message) {
        (Some(level), message) => Some(format!("{level} {}", message.unwrap_or_default())),
        (None, message) => message,
    }
}

/// The level of a record, from the fields in which loggers write it.
fn level(object: &Object<'_>) -> Option<String> {
    let level = object.first(&["level", "levelname", "severity"])?;
    if let Some(word) = string(level) {
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

/// Reads the fields of an object; `None` if the value is not an object.
pub(super) fn object(value: &RawValue) -> Option<Object<'_>> {
    parse(value.get()).ok()
}

/// Parses the object at the start of `text`, which starts with `{`. Text after the object is
/// ignored.
pub(super) fn parse(text: &str) -> Result<Object<'_>, serde_json::Error> {
    Object::deserialize(&mut serde_json::Deserializer::from_str(text))
}

/// Reads the log text inside an object that was cut off.
pub(super) fn salvage(text: &str) -> Option<String> {
    const FIELDS: [&str; 5] = ["\"log\"", "\"message\"", "\"msg\"", "\"line\"", "\"text\""];
    FIELDS.iter().find_map(|field| {
        let (_, after) = text.split_once(field)?;
        let value = after.trim_start().strip_prefix(':')?.trim_start();
        decode_cut(value.strip_prefix('"')?)
    })
}

/// Decodes a string without its opening quote, up to its closing quote or to where it was cut off.
fn decode_cut(text: &str) -> Option<String> {
    let mut end = text.len();
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => {
                end = at;
                break;
            }
            _ => {}
        }
    }
    let mut inner = text.get(..end)?;
    // The cut may be inside an escape, or between the two escapes of a surrogate pair.
    for _ in 0..3 {
        if let Ok(decoded) = serde_json::from_str(&format!("\"{inner}\"")) {
            return Some(decoded);
        }
        inner = inner.get(..inner.rfind('\\')?)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_text_inside_an_object_is_found() {
        for (json, expected) in [
            (r#"{"log":"a\n","stream":"stderr"}"#, Some("a\n")),
            (
                r#"{"msg":null,"fields":{"message":"a"}}"#,
                Some(r#"{"message":"a"}"#),
            ),
            (r#"{"level":30,"msg":"a"} trailing"#, Some("a")),
            (r#"{"log":{"level":"info"},"message":"\u2705"}"#, Some("✅")),
            (r#"{"message":{"text":"a"}}"#, Some(r#"{"text":"a"}"#)),
            (r#"{"message":7}"#, None),
            (r#"{"other":"a"}"#, None),
        ] {
            assert_eq!(
                parse(json).unwrap().wrapped().as_deref(),
                expected,
                "{json}"
            );
        }
    }

    #[test]
    fn a_record_becomes_its_level_and_the_last_line_of_its_message() {
        for (json, expected) in [
            (r#"{"level":50,"msg":"no ink"}"#, Some("ERROR no ink")),
            (
                r#"{"levelname":"Warning","event":"low"}"#,
                Some("WARNING low"),
            ),
            (
                r#"{"log":"{\"severity\":\"FATAL\",\"message\":\"a\\nb\"}\n"}"#,
                Some("FATAL b"),
            ),
            (r#"{"log":"plain\n","stream":"stdout"}"#, Some("plain")),
            (r#"{"level":"error","code":7}"#, Some("ERROR ")),
            (r#"{"level":70,"code":7}"#, None),
            ("[7] plain", None),
        ] {
            assert_eq!(level_and_message(json).as_deref(), expected, "{json}");
        }
    }

    #[test]
    fn the_log_text_of_a_cut_object_is_recovered() {
        for (json, expected) in [
            (
                r#"{"log": "X | 3/7 | 오후 \u001b[3"#,
                Some("X | 3/7 | 오후 \u{1b}[3"),
            ),
            (r#"{"level":"INFO","message":"ab\u00"#, Some("ab")),
            (r#"{"message":"ab\ud83d\ude"#, Some("ab")),
            (r#"{"message":"ab\"#, Some("ab")),
            (r#"{"message":"ab","n":NaN}"#, Some("ab")),
            (r#"{"mess"#, None),
        ] {
            assert_eq!(salvage(json).as_deref(), expected, "{json}");
        }
    }
}
