//! Finds number pairs and percentages in a line, from left to right.

use super::candidate::{Candidate, Found};
use super::{pair, percent};
use crate::log_parser::text::{head, tail};

/// The size of the context that is examined before a number, in bytes. After a number it is twice
/// as much.
const WINDOW: usize = 128;

/// How much of a long line is read at its start and at its end, in bytes. This is enough for one
/// line of a tool, and for the last of many frames of a bar.
const ENDS: usize = 16 * 1024;

/// Finds all counters of a line.
pub(super) fn counters(line: &str) -> Found {
    let bytes = line.as_bytes();
    let mut found = Found::default();
    let mut at = 0;
    while let Some(offset) = bytes
        .get(at..)
        .and_then(|rest| rest.iter().position(u8::is_ascii_digit))
    {
        let start = at + offset;
        let last_part = bytes.len().saturating_sub(ENDS);
        if (ENDS..last_part).contains(&start) {
            at = last_part;
            continue;
        }
        let Some(number) = number(bytes, start) else {
            // The number is out of range: skip its digits.
            at = skip_digits(bytes, start);
            continue;
        };
        at = number.end;
        if !is_free_before(bytes, start) {
            continue;
        }
        if let Some((total, end)) = pair_end(bytes, number.end) {
            if is_free_after(bytes, end) && number.value <= total && total > 0 {
                let candidate = around(line, start, end);
                pair::classify(candidate, number.value, total, &mut found);
                at = end;
            }
        } else if let Some((total, end)) = spark_end(bytes, number.end) {
            if before(line, start).ends_with('(') && number.value <= total {
                pair::put_stage(number.value, total, &mut found);
                at = end;
            }
        } else if let Some(end) = percent_end(bytes, number.end)
            && number.value <= 100
        {
            let candidate = around(line, start, end);
            let used = percent::classify(candidate, number.value, &mut found);
            at = end + used.bytes;
            if used.is_whole_line {
                break;
            }
        }
    }
    found
}

fn before(line: &str, start: usize) -> &str {
    line.get(..start).unwrap_or_default()
}

fn around(line: &str, start: usize, end: usize) -> Candidate<'_> {
    Candidate {
        before: tail(before(line, start), WINDOW),
        after: head(line.get(end..).unwrap_or_default(), 2 * WINDOW),
        is_near_start: start <= WINDOW,
    }
}

/// A number and the position after it.
pub(super) struct Number {
    pub(super) value: u64,
    pub(super) end: usize,
}

/// Parses the number at `start`, with or without commas between groups of three digits.
pub(super) fn number(bytes: &[u8], start: usize) -> Option<Number> {
    let digit = |at: usize| bytes.get(at).filter(|byte| byte.is_ascii_digit());
    digit(start)?;
    let mut value: u64 = 0;
    let mut end = start;
    loop {
        while let Some(byte) = digit(end) {
            value = value.checked_mul(10)?.checked_add(u64::from(byte - b'0'))?;
            end += 1;
        }
        let is_group = end - start <= 19
            && bytes.get(end) == Some(&b',')
            && (1..=3).all(|offset| digit(end + offset).is_some())
            && digit(end + 4).is_none();
        if !is_group {
            return Some(Number { value, end });
        }
        end += 1;
    }
}

fn skip_digits(bytes: &[u8], start: usize) -> usize {
    let rest = bytes.get(start..).unwrap_or_default();
    let digits = rest.iter().position(|byte| !byte.is_ascii_digit());
    start + digits.unwrap_or(rest.len())
}

/// Skips at most two spaces.
fn skip_spaces(bytes: &[u8], mut at: usize) -> usize {
    for _ in 0..2 {
        if bytes.get(at) == Some(&b' ') {
            at += 1;
        }
    }
    at
}

/// Parses the rest of `3/10`, `3 of 10` or `3 out of 10`: the second number and the position after
/// it.
fn pair_end(bytes: &[u8], end: usize) -> Option<(u64, usize)> {
    let rest = bytes.get(end..)?;
    let separator = [&b" of "[..], b" out of "]
        .into_iter()
        .find(|text| rest.starts_with(text));
    let start = match separator {
        Some(text) => end + text.len(),
        None => {
            let slash = skip_spaces(bytes, end);
            if bytes.get(slash) != Some(&b'/') {
                return None;
            }
            skip_spaces(bytes, slash + 1)
        }
    };
    let total = number(bytes, start)?;
    Some((total.value, total.end))
}

/// Parses the rest of Spark's `(17 + 11) / 108]`: the last number and the position after it.
fn spark_end(bytes: &[u8], end: usize) -> Option<(u64, usize)> {
    let running = number(
        bytes,
        end + bytes.get(end..)?.strip_prefix(b" + ").map(|_| 3)?,
    )?;
    let rest = bytes.get(running.end..)?;
    rest.strip_prefix(b") / ")?;
    let total = number(bytes, running.end + 4)?;
    (bytes.get(total.end) == Some(&b']')).then_some((total.value, total.end))
}

/// The position after a percentage with its fraction and its percent sign.
fn percent_end(bytes: &[u8], end: usize) -> Option<usize> {
    let mut at = end;
    if let Some(fraction) = bytes.get(end..)?.strip_prefix(b".") {
        let digits = fraction
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .take(18);
        at += 1 + digits.count();
    }
    if bytes.get(at) == Some(&b' ') {
        at += 1;
    }
    (bytes.get(at) == Some(&b'%')).then_some(at + 1)
}

/// Whether a counter may start at `start`: not inside a word, a path, a version, a date or an
/// address.
fn is_free_before(bytes: &[u8], start: usize) -> bool {
    let back = |count: usize| {
        start
            .checked_sub(count)
            .and_then(|at| bytes.get(at))
            .copied()
    };
    match back(1) {
        None => true,
        Some(b':') => !back(2).is_some_and(|byte| byte.is_ascii_digit()),
        Some(byte) => !(byte.is_ascii_alphanumeric() || b"_/\\.-,$@~'\"%".contains(&byte)),
    }
}

/// Whether a number pair may end at `end`.
fn is_free_after(bytes: &[u8], end: usize) -> bool {
    let next = bytes.get(end).copied();
    let digit_follows = bytes.get(end + 1).is_some_and(u8::is_ascii_digit);
    match next {
        None => true,
        Some(b'.' | b'-' | b':' | b',') => !digit_follows,
        Some(byte) => !(byte.is_ascii_alphanumeric() || b"_/\\%@".contains(&byte)),
    }
}
