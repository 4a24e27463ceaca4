//! What holds of the ledger of any log, however its lines arrive, for tests and for fuzzing.
#![allow(clippy::unwrap_used, reason = "a check fails by panicking")]

use super::ledger::MAX_BYTES;
use super::{Ledger, LineKey, Report, TaskOrigin, fold_into_task};
use crate::log_event::LogEvent;
use crate::log_parser::{CdkObservation, LogFormat, Observation, parse_message};
use crate::model::{Task, TaskId, Timestamp};

/// The most lines of a log that are checked. A ledger is a function of the set of lines as long as it does not have
/// to drop names, of which it keeps 200.
const MOST_LINES: usize = 150;
/// How many stacks each of [`MOST_AMPLIFIED`] lines is said of to make a ledger large.
const STACKS: u32 = 300;
/// The most lines that are said of many stacks.
const MOST_AMPLIFIED: usize = 6;

/// Checks that a log gives the same ledger and the same task in whatever order, portions and repetitions its lines
/// arrive; that the ledger survives being stored; and that it stays within its bound.
///
/// The first line of `delivery` says how the log is delivered, the others are the log: any bytes will do.
///
/// # Panics
///
/// If one of that does not hold.
pub fn check(delivery: &[u8]) {
    let delivery = String::from_utf8_lossy(delivery);
    let (how, log) = delivery.split_once('\n').unwrap_or(("", &delivery));
    let mut dice = Dice::new(how);
    for format in [LogFormat::CDK, LogFormat::AGENT] {
        let lines = observed(format, log, &mut dice);
        check_order(format, &lines, &mut dice);
        check_bound(&lines, &mut dice);
    }
}

/// What a line says, and where it stands.
type Line = (LineKey, Observation);

/// Numbers that follow from a text (splitmix64).
struct Dice(u64);

impl Dice {
    fn new(text: &str) -> Self {
        let seed = text.bytes().fold(0, |seed: u64, byte| {
            seed.wrapping_mul(0x0100_0000_01b3)
                .wrapping_add(u64::from(byte))
        });
        Self(seed)
    }

    /// A number below `sides`, which is not 0.
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from(mixed >> 33).unwrap_or_default() % sides
    }
}

/// What the lines of `log` say: several of one millisecond or event, or hours apart.
fn observed(format: LogFormat, log: &str, dice: &mut Dice) -> Vec<Line> {
    let mut lines = Vec::new();
    let (mut time, mut line) = (1_763_200_000_000, 0);
    for (number, text) in log.lines().take(MOST_LINES).enumerate() {
        time += [0, 0, 1, 1_000, 3_600_000][dice.roll(5)];
        line = if dice.roll(3) == 0 { line + 1 } else { 0 };
        let event = LogEvent {
            log_stream: "main".to_owned(),
            timestamp: Timestamp::from_millis(time),
            event_id: format!("{number:056}"),
            message: text.to_owned(),
        };
        let position = LineKey::of(&event, line);
        parse_message(format, text, &mut |_, observation| {
            lines.push((position, observation));
        });
    }
    lines
}

fn fold<'a>(lines: impl IntoIterator<Item = &'a Line>) -> Ledger {
    let mut ledger = Ledger::default();
    for (position, observation) in lines {
        ledger.observe(*position, observation);
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

fn check_order(format: LogFormat, lines: &[Line], dice: &mut Dice) {
    let whole = fold(lines);
    let task = task_of(format, &whole);

    let mut delivered: Vec<&Line> = lines.iter().collect();
    for line in lines {
        if dice.roll(3) == 0 {
            delivered.push(line);
        }
    }
    for last in (1..delivered.len()).rev() {
        delivered.swap(last, dice.roll(last + 1));
    }
    let size = 1 + dice.roll(delivered.len().max(1));
    let mut portions: Vec<Ledger> = delivered
        .chunks(size)
        .map(|portion| fold(portion.iter().copied()))
        .collect();
    while portions.len() > 1 {
        // Whoever is joined with whom, as two collectors and a push might be.
        let other = portions.swap_remove(dice.roll(portions.len()));
        let held = dice.roll(portions.len());
        portions[held].merge(&stored(&other));
    }
    let joined = portions.pop().unwrap_or_default();
    assert_eq!(joined, whole, "the way of delivery made a difference");
    assert_eq!(task_of(format, &joined), task);

    let mut again = whole.clone();
    again.merge(&whole);
    for (position, observation) in &delivered {
        again.observe(*position, observation);
    }
    assert_eq!(again, whole, "the same lines again made a difference");
    assert_eq!(Report::of(&stored(&whole)), Report::of(&whole));
    if let Some(task) = task {
        assert_sound(&task);
    }
}

/// The ledger as it comes back from the store.
fn stored(ledger: &Ledger) -> Ledger {
    let json = serde_json::to_string(ledger).unwrap();
    let stored: Ledger = serde_json::from_str(&json).unwrap();
    assert_eq!(stored, *ledger, "the ledger did not survive being stored");
    stored
}

/// A task that contradicts itself helps nobody.
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

/// A log that says the same of very many stacks makes no ledger that can't be stored.
fn check_bound(lines: &[Line], dice: &mut Dice) {
    if dice.roll(8) > 0 {
        return; // it takes long
    }
    let mut ledger = Ledger::default();
    for (position, observation) in lines.iter().take(MOST_AMPLIFIED) {
        for number in 0..STACKS {
            let mut observation = observation.clone();
            rename(&mut observation, number);
            ledger.observe(position.with_line(number), &observation);
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
        | CdkObservation::PossibleEnd { stack: name, .. }
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
