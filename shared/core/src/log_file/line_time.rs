//! Parses the timestamp at the start of a line.

use chrono::{FixedOffset, NaiveDate, NaiveDateTime};

use crate::model::Timestamp;

/// A JSON line is searched for its timestamp up to here, in bytes.
const JSON_PREFIX_BYTES: usize = 4096;

/// Parses the time of a line: an ISO 8601 date and time at its start, also in brackets, or the
/// `timestamp` field of a JSON object. A time without an offset is in UTC.
pub(super) fn parse_line_time(line: &[u8]) -> Option<Timestamp> {
    match line.first()? {
        b'0'..=b'9' => parse_iso(line),
        b'[' => parse_iso(line.get(1..)?),
        b'{' => parse_iso(json_timestamp(line)?),
        _ => None,
    }
}

/// The text after `"timestamp":"` in a JSON line.
fn json_timestamp(line: &[u8]) -> Option<&[u8]> {
    const FIELD: &[u8] = br#""timestamp""#;
    let prefix = line.get(..JSON_PREFIX_BYTES).unwrap_or(line);
    let at = memchr::memmem::find(prefix, FIELD)?;
    let value = prefix.get(at + FIELD.len()..)?.trim_ascii_start();
    let value = value.strip_prefix(b":")?.trim_ascii_start();
    value.strip_prefix(b"\"")
}

fn parse_iso(text: &[u8]) -> Option<Timestamp> {
    let mut rest = Digits(text);
    let year = i32::try_from(rest.number(4)?).ok()?;
    rest.one_of(b"-")?;
    let month = rest.number(2)?;
    rest.one_of(b"-")?;
    let day = rest.number(2)?;
    rest.one_of(b"Tt ")?;
    let hour = rest.number(2)?;
    rest.one_of(b":")?;
    let minute = rest.number(2)?;
    rest.one_of(b":")?;
    let second = rest.number(2)?;
    let millis = rest.fraction();
    let time = NaiveDate::from_ymd_opt(year, month, day)?
        .and_hms_milli_opt(hour, minute, second, millis)?;
    Some(Timestamp::from(without_offset(time, &mut rest)?.and_utc()))
}

/// Converts `time` to UTC with the offset at the start of `rest`. Without a sign there is no
/// offset.
fn without_offset(time: NaiveDateTime, rest: &mut Digits<'_>) -> Option<NaiveDateTime> {
    let sign = match rest.0.first() {
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return Some(time),
    };
    rest.one_of(b"+-");
    let hours = rest.number(2)?;
    rest.one_of(b":");
    let minutes = rest.number(2)?;
    let seconds = i32::try_from(hours * 3600 + minutes * 60).ok()?;
    time.checked_sub_offset(FixedOffset::east_opt(sign * seconds)?)
}

/// A reader of numbers. It holds the rest of the text.
struct Digits<'a>(&'a [u8]);

impl Digits<'_> {
    /// Reads a number of exactly `count` digits.
    fn number(&mut self, count: usize) -> Option<u32> {
        let (digits, rest) = self.0.split_at_checked(count)?;
        let number = std::str::from_utf8(digits).ok()?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        self.0 = rest;
        number.parse().ok()
    }

    /// Skips one byte, which must be one of `bytes`.
    fn one_of(&mut self, bytes: &[u8]) -> Option<()> {
        let (first, rest) = self.0.split_first()?;
        bytes.contains(first).then(|| self.0 = rest)
    }

    /// Reads a fraction of a second of any length as milliseconds; 0 if there is none.
    fn fraction(&mut self) -> u32 {
        let is_fraction = matches!(self.0, [b'.' | b',', digit, ..] if digit.is_ascii_digit());
        if !is_fraction {
            return 0;
        }
        let digits = self.0.get(1..).unwrap_or_default();
        let length = digits
            .iter()
            .take_while(|digit| digit.is_ascii_digit())
            .count();
        let padded = digits.iter().take(length).chain(b"000");
        let millis = padded.take(3).fold(0, |number, digit| {
            number * 10 + u32::from(digit - b'0') // all are digits
        });
        self.0 = digits.get(length..).unwrap_or_default();
        millis
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Option<&str>) {
        let expected = expected.map(|text| text.parse().unwrap());
        assert_eq!(parse_line_time(line.as_bytes()), expected, "{line}");
    }

    #[test]
    fn a_timestamp_at_the_start_is_the_time_of_the_line() {
        let moment = Some("2025-11-15T10:00:00.120Z");
        check("2025-11-15T10:00:00.12Z Api: deploying...", moment);
        check("2025-11-15 10:00:00,120 INFO Step 1/3", moment);
        check("[2025-11-15T10:00:00.120456789] x", moment);
        check("2025-11-15T11:00:00.120+01:00 x", moment);
        check("2025-11-15T04:30:00.120-0530 x", moment);
        check(
            r#"{"level":"info", "timestamp" : "2025-11-15T10:00:00.120Z"}"#,
            moment,
        );
    }

    #[test]
    fn other_lines_have_no_time() {
        for line in [
            "",
            "{",
            "[",
            "Api | 1/2 | 10:00:00 AM | CREATE_COMPLETE",
            "[3/10] building",
            "2025/11/15 10:00:00 x",
            "2025-13-15T10:00:00Z x",
            "2025-11-15T25:00:00Z x",
            "2025-11-15T10:00:00+99:99 x",
            "2025-11-15",
            r#"{"timestamp":1763200800}"#,
            "２０２５-11-15T10:00:00Z",
        ] {
            check(line, None);
        }
    }
}
