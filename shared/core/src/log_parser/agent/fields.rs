//! Counters in named fields: `block=3 blocks=9` of a logger that writes `name=value`, and pairs of
//! numbers under names that say nothing, `{"fertig": 3, "gesamt": 9}`. Such a pair counts once it
//! moves.

use std::collections::HashSet;
use std::sync::LazyLock;

use regex::Regex;

use super::logger::{self, GAUGES, MOST_NUMBERS, NESTED, Number, SIZES, TOTALS};
use crate::log_parser::json::Object;
use crate::log_parser::observation::{
    AgentObservation, CounterKind, MAX_SAMPLES, Observation, Sample, Samples,
};
use crate::log_parser::plain;
use crate::log_parser::plain::sample::is_gauge;
use crate::log_parser::template::Template;
use crate::log_parser::text::clip_some;

/// Every line that this module reads matches this pattern.
pub(super) const HINT: &str = r#"=\x22?[0-9]+\x22?[ ,]\s?[^\s=]+=\x22?[0-9]"#;
static PATTERN: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(HINT).expect("the pattern is a constant"));

/// The most fields of a line that are looked at.
const MOST_FIELDS: usize = 64;

/// A greater number is a time or an id.
const GREATEST: u64 = 1_000_000_000;

/// Names of fields in records about a request.
const REQUEST: [&str; 8] = [
    "method",
    "url",
    "uri",
    "path",
    "status_code",
    "statusCode",
    "http.method",
    "remote_addr",
];

/// Words in names of numbers that are no counts.
static NO_COUNTS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    concat!(
        "time ts timestamp pid tid thread level line port id v code status error errors ",
        "failed failures retry retries version year month day hour minute minutes hours ",
        "uptime took elapsed latency seq rank priority severity partition shard seed ",
        "timeout width height lineno"
    )
    .split(' ')
    .collect()
});

/// Parses a line of a logger that writes `name=value`.
pub(super) fn parse_line(line: &str) -> Option<Observation> {
    if !PATTERN.is_match(line) {
        return None;
    }
    let fields = fields_of(line);
    let numbers = || {
        fields
            .iter()
            .filter_map(|(name, value)| Some((*name, logger::plain_number(value)?)))
    };
    if numbers().nth(1).is_none() || fields.iter().any(|(name, _)| is_of_other(name)) {
        return None;
    }
    let text = |names: &[&str]| {
        let mut texts = fields.iter().filter(|(name, _)| names.contains(name));
        texts.next().map(|(_, value)| value.trim_matches('"'))
    };
    let text = text(&["msg", "message", "event"]).unwrap_or(line);
    let named: Vec<Number> = numbers()
        .take(MOST_NUMBERS)
        .map(|(name, value)| Number::new(name, value))
        .collect();
    let counter = logger::pair(&named);
    if let Some(counter) = counter.filter(|_| is_record(line, &fields)) {
        return Some(Observation::Agent(AgentObservation {
            is_start: plain::is_first(&counter),
            counters: vec![(CounterKind::Report, counter)],
            message: clip_some(text),
            ..AgentObservation::default()
        }));
    }
    let mut template = Template::new();
    template.add_masked(line);
    let samples = samples(numbers(), template, text)?;
    Some(Observation::Samples(Samples::new(samples, text)))
}

/// Whether a line is a record of a logger, and not a sum such as `Done. passed=1 total=3`.
fn is_record(line: &str, fields: &[(&str, &str)]) -> bool {
    const NAMES: [&str; 6] = ["level", "lvl", "severity", "msg", "ts", "time"];
    let is_first = |(name, _): &(&str, &str)| line.starts_with(name);
    fields.first().is_some_and(is_first) || fields.iter().any(|(name, _)| NAMES.contains(name))
}

/// The fields `name=value` of a line. A value may have quotes.
fn fields_of(line: &str) -> Vec<(&str, &str)> {
    let mut fields = Vec::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('=')
        && fields.len() < MOST_FIELDS
    {
        let name = before.rsplit([' ', '\t', ',', '{', '[', '(']).next();
        let end = match after.strip_prefix('"') {
            Some(quoted) => quoted.find('"').map(|end| end + 2),
            None => after.find([' ', '\t', ',', '}', ']', ')']),
        };
        let (value, left) = after
            .split_at_checked(end.unwrap_or(after.len()))
            .unwrap_or((after, ""));
        if let Some(name) = name.filter(|name| !name.is_empty() && name.len() <= 48) {
            fields.push((name, value));
        }
        rest = left;
    }
    fields
}

/// The pairs in a record that is no report, or one level down.
pub(super) fn samples_of(object: &Object<'_>) -> Option<Samples> {
    if !has_two_numbers(object) && !NESTED.iter().any(|name| object.get(name).is_some()) {
        return None;
    }
    let text = object.wrapped().filter(|text| !text.starts_with('{'));
    let text = text.unwrap_or_default();
    let nested = NESTED.iter().filter_map(|name| object.object(name));
    samples_in(object, &text).or_else(|| {
        nested
            .into_iter()
            .find_map(|nested| samples_in(&nested, &text))
    })
}

fn samples_in(object: &Object<'_>, text: &str) -> Option<Samples> {
    if !has_two_numbers(object) || object.fields().any(|(name, _)| is_of_other(name)) {
        return None;
    }
    let mut template = Template::new();
    for (name, _) in object.fields() {
        template.add(name);
        template.add(",");
    }
    template.add_masked(text);
    let numbers = object.fields();
    let numbers =
        numbers.filter_map(|(name, value)| Some((name, logger::plain_number(value.get())?)));
    Some(Samples::new(samples(numbers, template, text)?, text))
}

/// A cheap test, because most records have no two numbers.
fn has_two_numbers(object: &Object<'_>) -> bool {
    let mut numbers = object.fields().filter(|(_, value)| {
        let value = value.get().trim_start_matches('"');
        value.starts_with(|character: char| character.is_ascii_digit())
    });
    numbers.nth(1).is_some()
}

/// Whether a record with this field is about something else than a counter.
fn is_of_other(name: &str) -> bool {
    GAUGES.contains(&name) || REQUEST.contains(&name)
}

/// Pairs of numbers that stand beside each other.
fn samples<'a>(
    numbers: impl Iterator<Item = (&'a str, f64)>,
    template: Template,
    text: &str,
) -> Option<Vec<Sample>> {
    if is_gauge(text) {
        return None;
    }
    let counts: Vec<(&str, u64)> = numbers
        .take(MOST_NUMBERS)
        .filter(|(name, _)| is_count(name))
        .filter_map(|(name, value)| Some((name, whole(value)?)))
        .collect();
    let pairs = counts.windows(2).filter_map(|pair| {
        let [one, other] = pair else { return None };
        let (current, total) = if one.1 <= other.1 {
            (one, other)
        } else {
            (other, one)
        };
        let is_total = |name: &str| words(name).any(|word| TOTALS.contains(&word.as_str()));
        if total.1 < 2 || is_total(current.0) {
            return None;
        }
        let mut template = template;
        template.add(current.0);
        template.add("/");
        template.add(total.0);
        template.add_number(total.1);
        Some(Sample {
            template: template.finish(),
            current: current.1,
            total: total.1,
            is_share: false,
        })
    });
    let pairs: Vec<Sample> = pairs.take(MAX_SAMPLES).collect();
    Some(pairs).filter(|pairs| !pairs.is_empty())
}

/// A whole number that may be a count.
fn whole(value: f64) -> Option<u64> {
    let text = (value.fract() == 0.0 && value >= 0.0).then(|| format!("{value:.0}"))?;
    text.parse().ok().filter(|value| *value < GREATEST)
}

/// Whether a number of this name may be a count.
fn is_count(name: &str) -> bool {
    let is_other =
        |word: String| SIZES.contains(&word.as_str()) || NO_COUNTS.contains(word.as_str());
    !words(name).any(is_other) && !is_gauge(&name.replace(['_', '-', '.'], " "))
}

fn words(name: &str) -> impl Iterator<Item = String> {
    logger::words_of(name).into_iter()
}
