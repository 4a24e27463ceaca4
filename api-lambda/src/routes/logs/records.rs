//! The records in the body of `POST /api/logs`.

use std::io::Read;

use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Error};
use serde_json::{Map, Value};
use shared::model::{Context, Timestamp};

use crate::problem::{ApiError, FieldError};

/// The largest body.
pub(super) const MAX_PACKED_BYTES: usize = 1024 * 1024;
/// The largest body after unpacking.
const MAX_BYTES: usize = 8 * 1024 * 1024;
/// The most commands in a body.
const MAX_COMMANDS: usize = 20;
/// The most errors that a response lists.
const MAX_ERRORS: usize = 20;
/// A time with a smaller number is in seconds: that is until the year 5138.
const LEAST_MILLIS: f64 = 100_000_000_000.0;
/// The fields of a record. An object with other fields is a line of the log.
const FIELDS: [&str; 5] = ["timestamp", "message", "context", "exit_code", "signal"];
/// The fields of a context.
const CONTEXT: [&str; 6] = [
    "actor",
    "repository",
    "commit",
    "branch",
    "pull_request",
    "ci_url",
];
/// The signals that end commands, with their numbers, which Linux and macOS share.
const SIGNALS: [(&str, i32); 10] = [
    ("SIGHUP", 1),
    ("SIGINT", 2),
    ("SIGQUIT", 3),
    ("SIGILL", 4),
    ("SIGABRT", 6),
    ("SIGKILL", 9),
    ("SIGSEGV", 11),
    ("SIGPIPE", 13),
    ("SIGALRM", 14),
    ("SIGTERM", 15),
];

/// One record of a body.
#[derive(Debug, PartialEq)]
pub(super) struct Record {
    /// The time; `None`: that of the request.
    pub(super) timestamp: Option<Timestamp>,
    pub(super) said: Said,
}

/// What a record says.
#[derive(Debug, PartialEq)]
pub(super) enum Said {
    /// A line of the log.
    Line(String),
    /// Who started the command, and from what.
    Context(Context),
    /// The command ended with this exit code: 128 and the number of the signal, if one ended it.
    Exit(i32),
}

/// Divides records into those of each command: a command ends with its exit.
pub(super) fn commands(records: Vec<Record>) -> Result<Vec<Vec<Record>>, ApiError> {
    let mut commands = vec![Vec::new()];
    let mut has_ended = false;
    for record in records {
        if std::mem::replace(&mut has_ended, matches!(record.said, Said::Exit(_))) {
            commands.push(Vec::new());
        }
        if let Some(last) = commands.last_mut() {
            last.push(record);
        }
    }
    if commands.len() > MAX_COMMANDS {
        return Err(ApiError::InvalidFields(vec![FieldError {
            field: "exit_code".to_owned(),
            detail: format!("a request has the exits of at most {MAX_COMMANDS} commands"),
        }]));
    }
    Ok(commands)
}

/// Lets no exit be earlier than the lines before it. `now` is the time of those without one.
pub(super) fn put_exits_last(records: &mut [Record], now: Timestamp) {
    let mut latest: Option<Timestamp> = None;
    for record in records {
        let time = record.timestamp.unwrap_or(now);
        match record.said {
            Said::Exit(_) if latest > Some(time) => {
                record.timestamp = latest.filter(|latest| *latest != now);
            }
            Said::Line(_) => latest = latest.max(Some(time)),
            _ => {}
        }
    }
}

/// Reads the records of a body.
pub(super) fn read(headers: &HeaderMap, body: &[u8]) -> Result<Vec<Record>, ApiError> {
    let header = |name| {
        let value = headers.get(name)?.to_str().ok()?;
        value
            .split(';')
            .next()
            .map(|value| value.trim().to_ascii_lowercase())
    };
    let content_type = header(CONTENT_TYPE).unwrap_or_default();
    let is_text = content_type.starts_with("text/");
    let may_be_records = matches!(
        content_type.as_str(),
        "application/x-ndjson"
            | "application/jsonl"
            | "application/json"
            | "application/octet-stream"
    );
    let is_packed = match header(CONTENT_ENCODING).as_deref() {
        None | Some("identity") => body.starts_with(&[0x1f, 0x8b]),
        Some("gzip") => true,
        Some(_) => return Err(ApiError::UnsupportedLines),
    };
    if !is_text && !may_be_records {
        return Err(ApiError::UnsupportedLines);
    }
    let unpacked = if is_packed { Some(unpack(body)?) } else { None };
    let body = unpacked.as_deref().unwrap_or(body);
    let text = String::from_utf8_lossy(body);
    let lines = text.lines().filter(|line| !line.is_empty());
    if is_text {
        return Ok(lines.map(line).collect());
    }
    let mut errors = Vec::new();
    let mut records = Vec::new();
    for (number, text) in (1..).zip(lines) {
        match record(text) {
            Ok(record) => records.push(record),
            Err((field, detail)) => errors.push(FieldError {
                field: format!("line {number}.{field}"),
                detail,
            }),
        }
    }
    if errors.is_empty() {
        return Ok(records);
    }
    errors.truncate(MAX_ERRORS);
    Err(ApiError::InvalidFields(errors))
}

/// Unpacks a body, whatever its size says.
fn unpack(body: &[u8]) -> Result<Vec<u8>, ApiError> {
    let limit = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX);
    let mut unpacked = Vec::new();
    let read = MultiGzDecoder::new(body)
        .take(limit.saturating_add(1))
        .read_to_end(&mut unpacked);
    match read {
        Ok(_) if unpacked.len() > MAX_BYTES => Err(ApiError::UnpackedBodyTooLarge {
            limit_bytes: MAX_BYTES,
        }),
        Ok(_) => Ok(unpacked),
        Err(_) => Err(ApiError::MalformedGzip),
    }
}

fn line(text: &str) -> Record {
    Record {
        timestamp: None,
        said: Said::Line(text.to_owned()),
    }
}

/// Reads a record. An object with other fields, and any other text, is a line of the log.
fn record(text: &str) -> Result<Record, (&'static str, String)> {
    let Ok(mut fields) = serde_json::from_str::<Map<String, Value>>(text) else {
        return Ok(line(text));
    };
    let is_record = |fields: &Map<String, Value>| {
        fields.keys().all(|name| FIELDS.contains(&name.as_str()))
            && fields.keys().any(|name| name != "timestamp")
    };
    if !is_record(&fields) {
        return Ok(line(text));
    }
    if let Some(Value::Object(context)) = fields.get("context")
        && let Some(unknown) = context
            .keys()
            .find(|name| !CONTEXT.contains(&name.as_str()))
    {
        let known = CONTEXT.join(", ");
        return Err((
            "context",
            format!("has {unknown}, which is none of {known}"),
        ));
    }
    let timestamp: Option<Time> = take(
        &mut fields,
        "timestamp",
        "a time since 2000: RFC 3339, or a number of milliseconds or seconds since 1970",
    )?;
    let message: Option<String> = take(&mut fields, "message", "a text")?;
    let context: Option<Context> = take(&mut fields, "context", "an object of texts")?;
    let exit_code: Option<u8> = take(&mut fields, "exit_code", "a whole number from 0 to 255")?;
    let signal: Option<String> = take(
        &mut fields,
        "signal",
        "the name of a signal, such as SIGTERM",
    )?;
    let is_one = exit_code.is_none() || signal.is_none();
    let exit_code = match signal {
        Some(name) => Some(exit_code_of(&name)?),
        None => exit_code.map(i32::from),
    };
    let said = match (message, context, exit_code.filter(|_| is_one)) {
        (Some(message), None, None) => Said::Line(message),
        (None, Some(context), None) => Said::Context(context),
        (None, None, Some(code)) => Said::Exit(code),
        _ => {
            let expected = "a record has only one of message, context, exit_code and signal";
            return Err(("message", expected.to_owned()));
        }
    };
    Ok(Record {
        timestamp: timestamp.map(|Time(time)| time),
        said,
    })
}

/// A time: as RFC 3339 has it, or in milliseconds or seconds since 1970.
struct Time(Timestamp);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Given {
            Number(f64),
            Text(Timestamp),
        }
        match Given::deserialize(deserializer)? {
            Given::Number(number) => time_of(number).ok_or_else(|| D::Error::custom("no time")),
            Given::Text(time) => Ok(time),
        }
        .map(Self)
    }
}

/// The time that a number means: in milliseconds since 1970 or, if that is before 1974, in seconds.
/// None if that is before 2000, or after 9999.
fn time_of(number: f64) -> Option<Timestamp> {
    let millis = if number < LEAST_MILLIS {
        number * 1000.0
    } else {
        number
    };
    let year_2000 = Timestamp::from_millis(946_684_800_000);
    let limits = year_2000.as_millis()..=Timestamp::LATEST.as_millis();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "what is too large becomes the largest number, which is no time"
    )]
    let millis = millis as i64;
    limits
        .contains(&millis)
        .then(|| Timestamp::from_millis(millis))
}

/// Takes a field out. `null` is as if it were absent.
fn take<T: DeserializeOwned>(
    fields: &mut Map<String, Value>,
    name: &'static str,
    expected: &str,
) -> Result<Option<T>, (&'static str, String)> {
    match fields.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => serde_json::from_value(value)
            .map(Some)
            .map_err(|_| (name, format!("must be {expected}"))),
    }
}

/// The exit code that shells give a command that a signal has ended.
fn exit_code_of(signal: &str) -> Result<i32, (&'static str, String)> {
    let known = SIGNALS.iter().find(|(name, _)| *name == signal);
    let number = known.map(|(_, number)| *number);
    let number = number.or_else(|| {
        signal
            .parse()
            .ok()
            .filter(|number| (1..=64).contains(number))
    });
    let number = number.ok_or_else(|| {
        let names = SIGNALS.map(|(name, _)| name).join(", ");
        (
            "signal",
            format!("must be one of {names}, or a number from 1 to 64"),
        )
    })?;
    Ok(128 + number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn read_as(content_type: &'static str, body: &[u8]) -> Result<Vec<Record>, ApiError> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        read(&headers, body)
    }

    fn said(body: &str) -> Vec<Said> {
        let records = read_as("application/x-ndjson", body.as_bytes()).unwrap();
        records.into_iter().map(|record| record.said).collect()
    }

    fn packed(body: &[u8]) -> Vec<u8> {
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        packer.write_all(body).unwrap();
        packer.finish().unwrap()
    }

    #[test]
    fn records_are_lines_a_context_and_an_exit() {
        let body = r#"{"context":{"actor":"mia"}}
{"timestamp":1795255200000,"message":"[1/9] copying"}
{"timestamp":"2026-11-21T10:00:00Z","message":""}
{"exit_code":3}
{"signal":"SIGTERM"}"#;
        let context = Context {
            actor: Some("mia".to_owned()),
            ..Context::default()
        };
        let expected = [
            Said::Context(context),
            Said::Line("[1/9] copying".to_owned()),
            Said::Line(String::new()),
            Said::Exit(3),
            Said::Exit(143),
        ];
        assert_eq!(said(body), expected);
        let records = read_as("application/x-ndjson", body.as_bytes()).unwrap();
        assert_eq!(records[1].timestamp, records[2].timestamp);
    }

    #[test]
    fn other_objects_and_texts_are_lines() {
        let lines = [
            r#"{"level":"info","message":"[1/9] copying"}"#,
            r#"{"timestamp":7}"#,
            "[1/9] copying",
            "{",
        ];
        let expected = lines.map(|line| Said::Line(line.to_owned()));
        assert_eq!(said(&lines.join("\r\n")), expected);
        let text = read_as("text/plain; charset=utf-8", b"{\"exit_code\":3}\n").unwrap();
        assert_eq!(text, [line("{\"exit_code\":3}")]);
    }

    #[test]
    fn a_wrong_field_is_named_with_its_line() {
        for (body, field) in [
            (r#"{"timestamp":"now","message":"a"}"#, "line 1.timestamp"),
            (r#"{"timestamp":7,"message":"a"}"#, "line 1.timestamp"),
            (
                r#"{"timestamp":-1795255200,"message":"a"}"#,
                "line 1.timestamp",
            ),
            (
                r#"{"timestamp":1795255200000000,"message":"a"}"#,
                "line 1.timestamp",
            ),
            ("a\n{\"message\":7}", "line 2.message"),
            (r#"{"exit_code":"0"}"#, "line 1.exit_code"),
            (r#"{"exit_code":256}"#, "line 1.exit_code"),
            (r#"{"exit_code":-1}"#, "line 1.exit_code"),
            (r#"{"exit_code":1.5}"#, "line 1.exit_code"),
            (r#"{"signal":"TERM"}"#, "line 1.signal"),
            (r#"{"exit_code":0,"signal":"SIGKILL"}"#, "line 1.message"),
            (r#"{"context":{"actor":7}}"#, "line 1.context"),
            (r#"{"message":"a","exit_code":0}"#, "line 1.message"),
        ] {
            match read_as("application/x-ndjson", body.as_bytes()) {
                Err(ApiError::InvalidFields(errors)) => assert_eq!(errors[0].field, field),
                other => panic!("{body}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_time_is_in_milliseconds_or_in_seconds() {
        for (time, expected) in [
            ("1795255200000", "2026-11-21T10:00:00.000Z"),
            ("1795255200", "2026-11-21T10:00:00.000Z"),
            ("1795255200.25", "2026-11-21T10:00:00.250Z"),
            ("946684800", "2000-01-01T00:00:00.000Z"),
            ("\"1970-01-01T00:00:07Z\"", "1970-01-01T00:00:07.000Z"),
        ] {
            let body = format!("{{\"timestamp\":{time},\"message\":\"a\"}}");
            let records = read_as("application/x-ndjson", body.as_bytes()).unwrap();
            let read = records[0].timestamp.unwrap();
            assert_eq!(read.to_string(), expected, "{time}");
        }
    }

    #[test]
    fn a_packed_body_is_unpacked_up_to_a_limit() {
        let body = b"{\"exit_code\":0}\n";
        let records = read_as("application/octet-stream", &packed(body)).unwrap();
        assert_eq!(records[0].said, Said::Exit(0));
        let bomb = packed(&vec![b'\n'; MAX_BYTES + 1]);
        assert!(bomb.len() < MAX_PACKED_BYTES);
        let read = read_as("application/octet-stream", &bomb);
        assert!(
            matches!(read, Err(ApiError::UnpackedBodyTooLarge { .. })),
            "{read:?}"
        );
        let half = &packed(body)[..12];
        let read = read_as("application/octet-stream", half);
        assert!(matches!(read, Err(ApiError::MalformedGzip)), "{read:?}");
        let read = read_as("image/png", body);
        assert!(matches!(read, Err(ApiError::UnsupportedLines)), "{read:?}");
    }
}
