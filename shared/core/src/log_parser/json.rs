//! JSON objects on a line: reads the text inside them, also if the object is cut off.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// The fields of an object that some parser reads, not decoded. Other fields are skipped.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Object<'a> {
    #[serde(borrow)]
    log: Option<&'a RawValue>,
    #[serde(borrow, alias = "MESSAGE")]
    pub(super) message: Option<&'a RawValue>,
    #[serde(borrow)]
    msg: Option<&'a RawValue>,
    #[serde(borrow)]
    line: Option<&'a RawValue>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    event: Option<&'a RawValue>,
    #[serde(borrow, alias = "taskId")]
    pub(super) task_id: Option<&'a RawValue>,
    #[serde(borrow, alias = "projectId")]
    pub(super) project_id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) phase: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) step: Option<&'a RawValue>,
    #[serde(borrow, alias = "currentStep")]
    pub(super) current_step: Option<&'a RawValue>,
    #[serde(borrow, alias = "totalSteps")]
    pub(super) total_steps: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) progress: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) status: Option<&'a RawValue>,
    /// Field of a logged HTTP request, whose `status` is not the status of a task.
    #[serde(borrow)]
    pub(super) method: Option<&'a RawValue>,
    /// Field of a logged HTTP request.
    #[serde(borrow)]
    pub(super) url: Option<&'a RawValue>,
    /// Field of a logged HTTP request.
    #[serde(borrow, alias = "statusCode")]
    pub(super) status_code: Option<&'a RawValue>,
    // No aliases: an object may have both names.
    #[serde(borrow)]
    pub(super) usage: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) total_cost_usd: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) cost_usd: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) num_turns: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) turns: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) model: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) tool: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) tool_name: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) todos: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) todo: Option<&'a RawValue>,
}

impl<'a> Object<'a> {
    /// The log text inside the object, or the nested object that contains it.
    pub(super) fn wrapped(&self) -> Option<Cow<'a, str>> {
        let fields = [
            self.log,
            self.message,
            self.msg,
            self.line,
            self.text,
            self.event,
        ];
        let mut fields = fields.into_iter().flatten();
        fields.clone().find_map(string).or_else(|| {
            let object = fields.find(|field| field.get().starts_with('{'))?;
            Some(Cow::Borrowed(object.get()))
        })
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
        level = level.or_else(|| self::level(object));
        let wrapped = match parse(object) {
            Ok(object) => object.wrapped().map(Cow::into_owned),
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

fn level(object: &str) -> Option<String> {
    let levels = Levels::deserialize(&mut serde_json::Deserializer::from_str(object)).ok()?;
    let fields = [levels.level, levels.levelname, levels.severity];
    let level = fields.into_iter().flatten().next()?;
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

/// Reads the fields of an object; `None` if the value is not an object or a field is not valid.
pub(super) fn object<'a, T: Deserialize<'a>>(value: &'a RawValue) -> Option<T> {
    // Without this test, serde would also read a list: as the fields in their order.
    if !value.get().starts_with('{') {
        return None;
    }
    serde_json::from_str(value.get()).ok()
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
