//! Finds number pairs and percentages in a line, from left to right.

use super::candidate::{Candidate, Found, Hit};
use super::number::{digits, narrow, pair, pair_after_total, percent_end, spark_total};
use super::percent::Share;
use super::sample::{is_gauge, sample, share};
use super::{languages, pair, percent};
use crate::log_parser::observation::{Counter, CounterKind};
use crate::log_parser::text::{head, tail};

/// The size of the context that is examined before a number, in bytes. After a number it is twice
/// as much.
const WINDOW: usize = 128;

/// How much of a long line is read at its start and at its end, in bytes. This is enough for one
/// line of a tool, and for the last of many frames of a bar.
const ENDS: usize = 16 * 1024;

/// Finds all counters of a line, and a pair or a percentage that may be one if there is none.
pub(super) fn counters(line: &str) -> Found {
    let line = narrow(line);
    let mut found = Found::default();
    let mut unknown = None;
    let mut unknown_share = None;
    let mut hits = hits(&line).into_iter().peekable();
    while let Some(hit) = hits.next() {
        let with_next = hits.peek().and_then(|next| join(&line, &hit, next));
        if with_next.is_some() {
            hits.next();
        }
        if let Some((kind, counter)) = with_next.or(hit.kind.map(|kind| (kind, hit.counter))) {
            found.put(kind, counter);
        } else if hit.counter.total.is_some() {
            unknown = unknown.or(Some(hit));
        } else {
            unknown_share = unknown_share.or(Some(hit));
        }
    }
    if found.counters.is_empty() {
        found.sample = unknown.and_then(|hit| {
            let pair = hit.counter.current.zip(hit.counter.total)?;
            sample(
                &line,
                hit.start..hit.end,
                pair,
                around(&line, hit.start, hit.end),
            )
        });
        found.sample = found.sample.or_else(|| {
            let hit: Hit = unknown_share?;
            let value = u64::from(hit.counter.percentage?);
            let candidate = around(&line, hit.start, hit.end);
            share(&line, hit.start..hit.end, value, candidate)
        });
    }
    found
}

/// The number pairs and percentages of `line`, without those that are never progress.
fn hits(line: &str) -> Vec<Hit> {
    let bytes = line.as_bytes();
    let mut hits = Vec::new();
    let mut at = 0;
    if is_of_valgrind(line) {
        return hits;
    }
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
        let Some((value, end)) = digits(bytes, start) else {
            // The number is out of range: skip its digits.
            at = skip_digits(bytes, start);
            continue;
        };
        at = end;
        if !is_free_before(bytes, start) || is_in_address(before(line, start)) {
            continue;
        }
        let total_first = || pair_after_total(line, start).map(|pair| (pair, true));
        let found = pair(bytes, start).map(|pair| (pair, false));
        if let Some((pair, is_total_first)) = found.or_else(total_first) {
            if is_free_after(bytes, pair.end) && pair.current <= pair.total && pair.total > 0 {
                at = pair.end;
                let candidate = around(line, start, pair.end);
                if pair::is_excluded(candidate) {
                    continue;
                }
                let kind = if is_total_first {
                    languages::is_working(candidate.after).then_some(CounterKind::Item)
                } else {
                    pair::kind(candidate, pair.current, pair.total)
                };
                hits.push(hit(start, pair.end, (pair.current, pair.total), kind));
            }
        } else if let Some((total, end)) = spark_total(bytes, end) {
            if before(line, start).ends_with('(') && value <= total {
                at = end;
                hits.push(hit(start, end, (value, total), Some(CounterKind::Bar)));
            }
        } else if let Some(end) = percent_end(bytes, end)
            && let Some(value) = u8::try_from(value).ok().filter(|value| *value <= 100)
        {
            at = end;
            let share = percent::classify(around(line, start, end));
            let counter = Counter {
                current: None,
                total: None,
                percentage: Some(value),
            };
            let kind = (share != Share::Unknown).then_some(CounterKind::Percent);
            hits.push(Hit {
                start,
                end,
                counter,
                kind,
            });
            if share == Share::OfLine {
                break;
            }
        }
    }
    hits
}

fn hit(start: usize, end: usize, pair: (u64, u64), kind: Option<CounterKind>) -> Hit {
    let (current, total) = (Some(pair.0), Some(pair.1));
    let counter = Counter {
        current,
        total,
        percentage: None,
    };
    Hit {
        start,
        end,
        counter,
        kind,
    }
}

/// Joins a number pair and a percentage that stand beside each other and say the same. If one is
/// progress, so is the other.
fn join(line: &str, hit: &Hit, next: &Hit) -> Option<(CounterKind, Counter)> {
    let (pair, share) = match hit.counter.total {
        Some(_) => (hit, next),
        None => (next, hit),
    };
    let (current, total) = pair.counter.current.zip(pair.counter.total)?;
    let percentage = share.counter.percentage?;
    let computed = u128::from(current) * 100 / u128::from(total);
    let is_same = computed.abs_diff(u128::from(percentage)) <= 1;
    let counter = Counter {
        percentage: Some(percentage),
        ..pair.counter
    };
    let gap = line.get(hit.end..next.start)?;
    let is_measure = || is_gauge(before(line, hit.start)) || is_gauge(gap);
    let bar = (is_ruled(gap) && !is_measure()).then_some(CounterKind::Bar);
    let kind = pair.kind.or(share.kind).or(bar)?;
    // Without a count, the bar of an epoch is one that restarts.
    (is_same && is_near(gap)).then(|| (kind.max(CounterKind::Bar), counter))
}

/// Whether the text between two numbers has a row of the same sign: a bar in any style.
fn is_ruled(gap: &str) -> bool {
    let is_sign = |sign: char| !sign.is_alphanumeric() && sign != ' ';
    let mut signs = gap
        .chars()
        .zip(gap.chars().skip(1))
        .zip(gap.chars().skip(2));
    signs.any(|((one, two), three)| is_sign(one) && one == two && two == three)
}

/// Whether the text between two numbers has nothing but signs, a bar and one word.
fn is_near(gap: &str) -> bool {
    let mut words = gap.split(|character: char| !character.is_alphanumeric());
    let is_number = |text: &str| text.contains(|character: char| character.is_ascii_digit());
    gap.len() <= 2 * WINDOW
        && !is_number(gap)
        && words
            .by_ref()
            .filter(|word| !word.is_empty())
            .nth(1)
            .is_none()
}

/// Whether the line is of valgrind, which numbers what it finds: `==7120== … record 14 of 37`.
fn is_of_valgrind(line: &str) -> bool {
    let rest = line.strip_prefix("==").unwrap_or_default();
    let after = rest.trim_start_matches(|character: char| character.is_ascii_digit());
    after.len() < rest.len() && after.starts_with("==")
}

/// Whether the number after `before` is in a path or an address: `GET /items?page=2/9`.
fn is_in_address(before: &str) -> bool {
    let token = before
        .rsplit(char::is_whitespace)
        .next()
        .unwrap_or_default();
    let token = token.trim_start_matches(['"', '\'', '(', '[']);
    token.starts_with('/') || token.contains("://") || token.contains('?') && token.contains('=')
}

fn before(line: &str, start: usize) -> &str {
    tail(line.get(..start).unwrap_or_default(), WINDOW)
}

fn around(line: &str, start: usize, end: usize) -> Candidate<'_> {
    Candidate {
        before: before(line, start),
        after: head(line.get(end..).unwrap_or_default(), 2 * WINDOW),
        is_near_start: start <= WINDOW,
    }
}

fn skip_digits(bytes: &[u8], start: usize) -> usize {
    let rest = bytes.get(start..).unwrap_or_default();
    let digits = rest.iter().position(|byte| !byte.is_ascii_digit());
    start + digits.unwrap_or(rest.len())
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
