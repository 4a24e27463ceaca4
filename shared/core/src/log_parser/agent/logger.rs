//! Finds the counter and the status among the fields of a record of a JSON logger, by their names:
//! `done` of `total`, `rows_copied` of `rows_total`, `step` of `steps`, `percent`.

use serde_json::value::RawValue;

use super::number::{of_numbers, parse_share};
use super::status::{self, Status};
use crate::log_parser::json::{self, Object};
use crate::log_parser::observation::{Counter, CounterKind};
use crate::log_parser::plain::words::{counted, has_measure, is_done, is_work};
use crate::model::TaskStatus;

/// The most numbers of a record that are looked at.
pub(super) const MOST_NUMBERS: usize = 32;

/// Names of fields of pools, queues, pages of answers and repeated attempts. Numbers beside them
/// are not of a run.
pub(super) const GAUGES: [&str; 18] = [
    "active",
    "idle",
    "free",
    "used",
    "in_use",
    "available",
    "capacity",
    "pool",
    "pool_size",
    "connections",
    "replicas",
    "utilization",
    "page_size",
    "per_page",
    "limit",
    "offset",
    "attempt",
    "max_attempts",
];

/// Fields with the fields of a record.
pub(super) const NESTED: [&str; 7] = [
    "data",
    "detail",
    "details",
    "payload",
    "fields",
    "extra",
    "progress_info",
];

/// Words in the name of a total.
pub(super) const TOTALS: [&str; 7] = ["total", "max", "num", "n", "count", "all", "expected"];

/// Words in the names of sizes and durations.
pub(super) const SIZES: [&str; 10] = [
    "bytes", "byte", "kb", "mb", "gb", "size", "ms", "seconds", "secs", "duration",
];

/// A number and its name: `rowsDone` has the words `rows` and `done`.
pub(super) struct Number {
    pub(super) words: Vec<String>,
    pub(super) value: f64,
}

/// The counter in a record, or one level down. Where there are several, the outer one.
pub(super) fn counter(object: &Object<'_>) -> Option<Counter> {
    let nested = NESTED.iter().filter_map(|name| object.object(name));
    of_fields(object).or_else(|| {
        nested
            .map(|object| of_fields(&object))
            .find_map(|found| found)
    })
}

fn of_fields(object: &Object<'_>) -> Option<Counter> {
    if GAUGES.iter().any(|name| object.get(name).is_some()) {
        return None;
    }
    let pair = pair(&numbers_of(object));
    let share = share(object);
    match pair {
        Some(pair) => Some(Counter {
            percentage: pair.percentage.or(share.and_then(|share| share.percentage)),
            ..pair
        }),
        None => share.filter(|_| !is_measure(object)),
    }
}

/// The plain numbers of a record.
pub(super) fn numbers_of(object: &Object<'_>) -> Vec<Number> {
    let fields = object.fields();
    let numbers =
        fields.filter_map(|(name, value)| Some(Number::new(name, plain_number(value.get())?)));
    numbers.take(MOST_NUMBERS).collect()
}

/// The counter in numbers, by their names.
pub(super) fn pair(numbers: &[Number]) -> Option<Counter> {
    let pairs = numbers.iter().filter_map(|current| {
        let kind = current.kind()?;
        let is_total = |total: &&Number| total.is_total_of(current);
        let total = numbers.iter().find(is_total)?;
        Some((kind, of_numbers(current.value, Some(total.value))?))
    });
    // Of equals, the first one in the record.
    let pair = pairs.reduce(|one, other| if other.0 > one.0 { other } else { one });
    pair.map(|(_, pair)| pair)
}

/// A number without a sign or an exponent. A string may contain it.
pub(super) fn plain_number(value: &str) -> Option<f64> {
    let raw = value.trim_matches('"');
    let is_plain = raw
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    raw.parse().ok().filter(|_| is_plain)
}

/// The words of a name in lower case: `rowsDone`, `rows_done` and `rows.done` are the same.
pub(super) fn words_of(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for char in name.chars() {
        let is_word = char.is_ascii_alphanumeric();
        if !is_word || was_lower && char.is_ascii_uppercase() {
            words.push(String::new());
        }
        was_lower = char.is_ascii_lowercase();
        if let (true, Some(word)) = (is_word, words.last_mut()) {
            word.push(char.to_ascii_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

impl Number {
    pub(super) fn new(name: &str, value: f64) -> Self {
        let words = words_of(name);
        Self { words, value }
    }

    /// The kind of the counter, if the name can be that of its first number.
    fn kind(&self) -> Option<CounterKind> {
        let is_other = |word: &&str| TOTALS.contains(word) || SIZES.contains(word);
        if self.bare().iter().any(is_other) {
            return None;
        }
        match self.rest_of_done() {
            Some(_) => Some(CounterKind::Item),
            None => counted(self.unit()?),
        }
    }

    /// The words of a name, without those that only say that it is a number: `n_done`, `done_count`.
    fn bare(&self) -> Vec<&str> {
        let words = self.words.iter().map(String::as_str);
        let bare = words.filter(|word| !matches!(*word, "n" | "num" | "nr" | "count"));
        bare.collect()
    }

    /// The word of a name such as `step` or `current_step`.
    fn unit(&self) -> Option<&str> {
        match self.bare().as_slice() {
            [unit] => Some(unit),
            ["current" | "global", unit] | [unit, "index" | "number" | "no"] => Some(unit),
            _ => None,
        }
    }

    /// The other words of a name with a word that means done: `rows` of `rows_done`.
    fn rest_of_done(&self) -> Option<Vec<&str>> {
        let is_first = |word: &str| {
            let is_past = word.ends_with("ed") && is_work(word);
            is_past || is_done(word) || matches!(word, "current" | "sent" | "written")
        };
        let (done, rest): (Vec<&str>, Vec<&str>) =
            self.bare().into_iter().partition(|word| is_first(word));
        // `current_connections` is a gauge, `current_step` a unit.
        let is_gauge = done == ["current"] && !rest.is_empty();
        (done.len() == 1 && !is_gauge).then_some(rest)
    }

    /// Whether this is the total of `current`, by its name.
    fn is_total_of(&self, current: &Self) -> bool {
        if self.value < 1.0 || self.value < current.value || self.value.fract() != 0.0 {
            return false;
        }
        let (totals, rest): (Vec<&str>, Vec<&str>) = self
            .words
            .iter()
            .map(String::as_str)
            .partition(|word| TOTALS.contains(word));
        if rest == ["of"] && totals.is_empty() {
            return true;
        }
        if let Some(done) = current.rest_of_done() {
            // `done` of `files`, of `total_files` or of `total`, `rows_done` of `rows_total` or of
            // `total`
            let is_same = rest.is_empty() || done.is_empty() || done == rest;
            return !totals.is_empty() && is_same && (totals != ["n"]);
        }
        let Some(unit) = current.unit() else {
            return false;
        };
        match rest.as_slice() {
            [] => totals == ["total"],
            [word] if totals.is_empty() => *word != unit && is_plural(word, unit),
            [word] => *word == unit || is_plural(word, unit),
            _ => false,
        }
    }
}

/// Whether `word` is the plural of `unit`.
fn is_plural(word: &str, unit: &str) -> bool {
    let stem = word.strip_suffix('s');
    stem.is_some_and(|stem| stem == unit || stem.strip_suffix('e') == Some(unit))
        || word
            .strip_suffix("ies")
            .is_some_and(|stem| unit.strip_suffix('y') == Some(stem))
}

/// The share in a record.
fn share(object: &Object<'_>) -> Option<Counter> {
    let mut shares = object.fields().filter(|(name, _)| is_share(name));
    shares.find_map(|(_, value)| parse_share(value))
}

/// Whether a field of this name has the share of the work that is done.
fn is_share(name: &str) -> bool {
    const SHARES: [&str; 4] = ["percent", "pct", "percentage", "percents"];
    let words = words_of(name);
    let is_known = |word: &String| {
        SHARES.contains(&word.as_str())
            || is_done(word)
            || matches!(word.as_str(), "progress" | "completion")
    };
    let is_named = |word: &String| SHARES.contains(&word.as_str()) || word == "completion";
    words.iter().all(is_known) && words.iter().any(is_named)
}

/// Whether a record is about a measure, such as the use of a disk.
fn is_measure(object: &Object<'_>) -> bool {
    const SUBJECTS: [&str; 9] = [
        "name", "metric", "type", "kind", "sensor", "resource", "check", "message", "msg",
    ];
    let mut names = object.fields().map(|(name, _)| words_of(name).join(" "));
    let mut subjects = SUBJECTS.iter().filter_map(|name| object.text(name));
    names.any(|name| has_measure(&name)) || subjects.any(|text| has_measure(&text))
}

/// The status in a record: a `status`, a `state`, or the state of a job by a longer name. A word in
/// another field says that the run has ended, if the counter is full.
pub(super) fn status(object: &Object<'_>, counter: Option<Counter>) -> Option<Status> {
    const OWNERS: [&str; 13] = [
        "job",
        "run",
        "task",
        "workflow",
        "execution",
        "agent",
        "build",
        "training",
        "processing",
        "transform",
        "query",
        "pipeline",
        "command",
    ];
    let word = |value: &RawValue| status::parse(&json::string(value)?);
    let plain = ["status", "state"]
        .iter()
        .find_map(|name| word(object.get(name)?));
    let longer = || {
        let mut fields = object.fields();
        fields.find_map(|(name, value)| {
            let words = words_of(name);
            let (last, owners) = words.split_last()?;
            let is_owner = |word: &String| OWNERS.contains(&word.as_str());
            let is_state = matches!(last.as_str(), "status" | "state");
            let is_of_run = is_state && owners.iter().all(is_owner);
            is_of_run.then(|| word(value)).flatten()
        })
    };
    let kind = || {
        let kinds = ["type", "event", "kind"];
        let status = kinds.iter().find_map(|name| word(object.get(name)?))?;
        let is_end = status.status == TaskStatus::Completed && !status.is_vague;
        Some(status).filter(|_| is_end && counter.is_some_and(|counter| counter.is_full()))
    };
    plain.or_else(longer).or_else(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(record: &str) -> Option<(Option<u64>, Option<u64>, Option<u8>)> {
        let counter = counter(&json::parse(record).unwrap())?;
        Some((counter.current, counter.total, counter.percentage))
    }

    #[test]
    fn telling_names_make_a_counter() {
        for (record, current, total) in [
            (r#"{"done":3,"total":9}"#, 3, 9),
            (r#"{"processed":30,"total":90}"#, 30, 90),
            (r#"{"completed":3,"count":9}"#, 3, 9),
            (r#"{"step":3,"steps":9}"#, 3, 9),
            (r#"{"step":3,"of":9}"#, 3, 9),
            (r#"{"currentStep":3,"totalSteps":9}"#, 3, 9),
            (r#"{"iteration":3,"max_iterations":9}"#, 3, 9),
            (r#"{"batch":3,"batches":9}"#, 3, 9),
            (r#"{"rows_copied":3,"rows_total":9,"rows_failed":0}"#, 3, 9),
            (r#"{"filesProcessed":3,"totalFiles":9}"#, 3, 9),
            (r#"{"sent":3,"total":9,"msg":"mail"}"#, 3, 9),
            (r#"{"n_done":3,"n_total":9}"#, 3, 9),
            (r#"{"completed_steps":3,"total_steps":9}"#, 3, 9),
            (r#"{"global_step":3,"max_steps":9,"loss":0.5}"#, 3, 9),
            (
                r#"{"msg":"copied","fields":{"done":"3","total":"9"}}"#,
                3,
                9,
            ),
            (r#"{"epoch":3,"epochs":9,"batch":70,"batches":100}"#, 3, 9),
            (r#"{"batch":70,"batches":100,"epoch":3,"epochs":9}"#, 3, 9),
        ] {
            assert_eq!(
                found(record),
                Some((Some(current), Some(total), None)),
                "{record}"
            );
        }
        for (record, percentage) in [
            (r#"{"percent":35}"#, 35),
            (r#"{"pct":0.62}"#, 62),
            (r#"{"percentComplete":"35%"}"#, 35),
            (r#"{"progress_pct":35.5}"#, 35),
            (r#"{"completion":0.5}"#, 50),
        ] {
            assert_eq!(
                found(record),
                Some((None, None, Some(percentage))),
                "{record}"
            );
        }
    }

    #[test]
    fn the_state_of_a_job_may_have_a_longer_name() {
        let found = |record| status(&json::parse(record).unwrap(), None).map(|found| found.status);
        for record in [
            r#"{"state":"completed"}"#,
            r#"{"Status":"SUCCEEDED"}"#,
            r#"{"JobRunState":"SUCCEEDED"}"#,
            r#"{"TrainingJobStatus":"Completed"}"#,
            r#"{"workflow_status":"finished"}"#,
        ] {
            assert_eq!(found(record), Some(TaskStatus::Completed), "{record}");
        }
        for record in [
            r#"{"cardStatus":"completed"}"#,
            r#"{"type":"completed"}"#,
            r#"{"state":"on"}"#,
        ] {
            assert_eq!(found(record), None, "{record}");
        }
    }

    #[test]
    fn other_numbers_are_no_counter() {
        for record in [
            r#"{"total":9,"count":4}"#,
            r#"{"active":3,"current":3,"total":9}"#,
            r#"{"current_connections":3,"total_connections":9}"#,
            r#"{"attempt":3,"attempts":9,"step":1,"steps":2}"#,
            r#"{"failed":3,"total":9}"#,
            r#"{"mem_used":3,"mem_total":9}"#,
            r#"{"disk_percent":35}"#,
            r#"{"metric":"cpu","percent":35}"#,
            r#"{"page":3,"pages":9,"per_page":50}"#,
            r#"{"done":12,"total":9}"#,
            r#"{"downloaded_bytes":3,"total_bytes":9}"#,
            r#"{"done":-1,"total":9}"#,
            r#"{"done":true,"total":9}"#,
            r#"{"percent":135}"#,
            r#"{"msg":"done 3","total":9}"#,
        ] {
            assert_eq!(found(record), None, "{record}");
        }
    }
}
