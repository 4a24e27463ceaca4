//! Invariants of ledgers, for any log and any delivery of its lines. For tests and fuzzing.
#![allow(clippy::unwrap_used, reason = "a check fails by panicking")]

use super::ledger::MAX_BYTES;
use super::{Ledger, LineKey, Report, TaskOrigin, fold_into_task};
use crate::log_event::LogEvent;
use crate::log_parser::{CdkObservation, LogFormat, Observation, parse_message};
use crate::model::{Task, TaskId, Timestamp};

/// The most lines of a log that are checked. A ledger depends only on the set of lines until it
/// drops names; it keeps 200 names.
const MOST_LINES: usize = 150;
/// How many stacks get each of [`MOST_AMPLIFIED`] lines, to make a ledger large.
const STACKS: u32 = 300;
/// The most lines that are repeated for many stacks.
const MOST_AMPLIFIED: usize = 6;

/// Checks the ledger and the task of a log: they do not depend on order, batches and repetition of
/// lines; the ledger survives serialization; and its size is bounded.
///
/// The first line of `delivery` is the seed of the delivery. The other lines are the log. Any bytes
/// are valid.
///
/// # Panics
///
/// Panics if a check fails.
pub fn check(delivery: &[u8]) {
    let delivery = String::from_utf8_lossy(delivery);
    let (how, log) = delivery.split_once('\n').unwrap_or(("", &delivery));
    let mut rng = Rng::new(how);
    for format in LogFormat::ALL {
        let lines = observed(format, log, &mut rng);
        check_order(format, &lines, &mut rng);
        check_bound(&lines, &mut rng);
    }
}

/// An observation and the key of its line.
type Line = (LineKey, Observation);

/// A random number generator seeded with a text (splitmix64).
struct Rng(u64);

impl Rng {
    fn new(text: &str) -> Self {
        let seed = text.bytes().fold(0, |seed: u64, byte| {
            seed.wrapping_mul(0x0100_0000_01b3)
                .wrapping_add(u64::from(byte))
        });
        Self(seed)
    }

    /// Returns a number below `limit`, which must not be 0.
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from(mixed >> 33).unwrap_or_default() % limit
    }
}

/// Parses the lines of `log`. Their times may be equal or hours apart.
fn observed(format: LogFormat, log: &str, rng: &mut Rng) -> Vec<Line> {
    let mut lines = Vec::new();
    let (mut time, mut line) = (1_763_200_000_000, 0);
    for (number, text) in log.lines().take(MOST_LINES).enumerate() {
        time += [0, 0, 1, 1_000, 3_600_000][rng.below(5)];
        line = if rng.below(3) == 0 { line + 1 } else { 0 };
        let event = LogEvent {
            log_stream: "main".to_owned(),
            timestamp: Timestamp::from_millis(time),
            event_id: format!("{number:056}"),
            message: text.to_owned(),
        };
        let key = LineKey::of(&event, line);
        parse_message(format, text, &mut |_, observation| {
            lines.push((key, observation));
        });
    }
    lines
}

fn fold<'a>(lines: impl IntoIterator<Item = &'a Line>) -> Ledger {
    let mut ledger = Ledger::default();
    for (key, observation) in lines {
        ledger.observe(*key, observation);
    }
    ledger
}

fn task_of(format: LogFormat, ledger: &Ledger) -> Option<Task> {
    let origin = TaskOrigin {
        format,
        log_group: "/logs".to_owned(),
        log_stream: "main".to_owned(),
    };
    let task_id: TaskId = "main".parse().unwrap();
    fold_into_task(&task_id, &origin, None, ledger).live()
}

fn check_order(format: LogFormat, lines: &[Line], rng: &mut Rng) {
    let whole = fold(lines);
    let task = task_of(format, &whole);

    let mut delivered: Vec<&Line> = lines.iter().collect();
    for line in lines {
        if rng.below(3) == 0 {
            delivered.push(line);
        }
    }
    for last in (1..delivered.len()).rev() {
        delivered.swap(last, rng.below(last + 1));
    }
    let size = 1 + rng.below(delivered.len().max(1));
    let mut portions: Vec<Ledger> = delivered
        .chunks(size)
        .map(|portion| fold(portion.iter().copied()))
        .collect();
    while portions.len() > 1 {
        // Merge in a random order, as several collectors might.
        let other = portions.swap_remove(rng.below(portions.len()));
        let held = rng.below(portions.len());
        portions[held].merge(&stored(&other));
    }
    let joined = portions.pop().unwrap_or_default();
    assert_eq!(joined, whole, "the delivery changed the ledger");
    assert_eq!(task_of(format, &joined), task);

    let mut again = whole.clone();
    again.merge(&whole);
    for (key, observation) in &delivered {
        again.observe(*key, observation);
    }
    assert_eq!(again, whole, "repeated lines changed the ledger");
    assert_eq!(Report::of(&stored(&whole)), Report::of(&whole));
    if let Some(task) = task {
        assert_sound(&task);
    }
}

/// Serializes and deserializes the ledger.
fn stored(ledger: &Ledger) -> Ledger {
    let json = serde_json::to_string(ledger).unwrap();
    let stored: Ledger = serde_json::from_str(&json).unwrap();
    assert_eq!(stored, *ledger, "the ledger changed when it was serialized");
    stored
}

/// Checks that the fields of a task do not contradict each other.
fn assert_sound(task: &Task) {
    use crate::model::TaskStatus;
    let progress = [(task.status, task.progress)].into_iter();
    let parts = task.parts.values().map(|part| (part.status, part.progress));
    for (status, progress) in progress.chain(parts) {
        let completed = status == TaskStatus::Completed;
        assert!(
            progress
                .percentage
                .is_none_or(|share| share < 100 || completed)
        );
    }
    assert_eq!(task.completed_at.is_some(), task.status.is_terminal());
}

/// Checks that a log with very many stacks makes a ledger that can be stored.
fn check_bound(lines: &[Line], rng: &mut Rng) {
    if rng.below(8) > 0 {
        return; // the check is slow
    }
    let mut ledger = Ledger::default();
    for (key, observation) in lines.iter().take(MOST_AMPLIFIED) {
        for number in 0..STACKS {
            let mut observation = observation.clone();
            rename(&mut observation, number);
            ledger.observe(key.with_line(number), &observation);
        }
    }
    ledger.trim();
    let bytes = serde_json::to_vec(&ledger).unwrap().len();
    assert!(bytes <= MAX_BYTES, "a ledger of {bytes} bytes");
    stored(&ledger);
}

fn rename(observation: &mut Observation, number: u32) {
    let suffix = number.to_string();
    let Observation::Cdk(observation) = observation else {
        return;
    };
    match observation {
        CdkObservation::Start { stack: name, .. }
        | CdkObservation::End { stack: name, .. }
        | CdkObservation::UnconfirmedEnd { stack: name, .. }
        | CdkObservation::CurrentlyInProgress { first_id: name, .. }
        | CdkObservation::BootstrapStart { environment: name }
        | CdkObservation::BootstrapEnd {
            environment: name, ..
        }
        | CdkObservation::StackArn { name } => name.push_str(&suffix),
        CdkObservation::Row {
            stack, own_name, ..
        } => {
            for name in [stack, own_name].into_iter().flatten() {
                name.push_str(&suffix);
            }
        }
        CdkObservation::Bar { .. } | CdkObservation::Hotswap | CdkObservation::RunFailed { .. } => {
        }
    }
}
