//! Invariants of the fold, for any log and any delivery of its lines. For tests and fuzzing.
#![allow(clippy::unwrap_used, reason = "a check fails by panicking")]

use super::fact_log::MAX_BYTES;
use super::{Fact, FactLog, KeyedFact, LATEST_FACTS, LineKey, MOST_FACTS, Run, shown_progress};
use crate::log_event::LogEvent;
use crate::log_parser::{CdkObservation, LogFormat, Observation, parse_message};
use crate::model::{Task, TaskStatus, Timestamp};
use crate::record::{Outcome, TaskOrigin, TaskRecord};

/// The most lines of a log that are checked.
const MOST_LINES: usize = 150;
/// How many stacks get each of [`MOST_AMPLIFIED`] lines, to make a log large.
const STACKS: u32 = 600;
/// The most lines that are repeated for many stacks.
const MOST_AMPLIFIED: usize = 6;

/// Checks the runs of a log: they do not depend on order, portions and repetition of lines that are
/// as late as allowed; later ones never lead back; the facts survive storage; and their size is
/// bounded.
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
        let facts = facts_of(format, log, &mut rng);
        check_deliveries(&facts, rng.0);
        check_task(format, &facts);
        check_bound(&facts, &mut rng);
    }
}

/// Checks that deliveries of `facts`, which are in order, give the same runs. `seed` chooses the
/// deliveries.
///
/// # Panics
///
/// Panics if a check fails.
pub fn check_deliveries(facts: &[KeyedFact], seed: u64) {
    let rng = &mut Rng(seed);
    let whole = facts.iter().cloned().collect::<FactLog>();
    let expected = whole.runs();

    let mut unordered = facts.to_vec();
    for last in (1..unordered.len()).rev() {
        unordered.swap(last, rng.below(last + 1));
    }
    let mut again: FactLog = [&unordered, facts].concat().into_iter().collect();
    assert_eq!(again, whole, "order or repetition changed the facts");
    again.add(unordered.clone());
    assert_eq!(again, whole, "repeated facts changed the facts");
    assert_eq!(stored(&whole).runs(), expected, "storage changed the runs");

    let lateness = match facts.len() > MOST_FACTS {
        true => LATEST_FACTS,
        false => rng.below(24),
    };
    let mut log = FactLog::default();
    let mut runs = Vec::new();
    for portion in late_delivery(facts, lateness, seed) {
        log.add(portion);
        runs.append(&mut log.compact(lateness, lateness + rng.below(24)));
        if rng.below(64) == 0 {
            assert_eq!(stored(&log).runs().last(), log.runs().last());
        }
    }
    runs.append(&mut log.runs());
    assert_eq!(
        runs, expected,
        "facts late by up to {lateness} changed the runs"
    );

    let mut log = FactLog::default();
    for fact in unordered.iter().take(MOST_LINES) {
        let before = log.runs();
        // A late exit code counts.
        let is_late = Some(fact.0) <= log.watermark() && !matches!(fact.1, Fact::Exit { .. });
        log.add([fact.clone()]);
        let after = log.runs();
        // Lines that say nothing may turn out to belong to something else.
        let newest = |runs: &[Run]| runs.last().filter(|run| !run.is_of_plain_lines()).cloned();
        if let Some(before) = newest(&before) {
            let is_kept = |after: Run| before.last <= after.last || before.start < after.start;
            assert!(newest(&after).is_some_and(is_kept), "a fact has led back");
        }
        if is_late {
            assert_eq!(without_first(before), without_first(after));
        }
        log.compact(lateness, lateness + 8);
    }
}

/// The runs without the time of their first line, which a late line may move.
fn without_first(mut runs: Vec<Run>) -> Vec<Run> {
    for run in &mut runs {
        run.first = run.start;
    }
    runs
}

/// Splits facts into portions such that at most `lateness` later facts come before each. Some facts
/// come again. `seed` chooses the delivery.
pub fn late_delivery(facts: &[KeyedFact], lateness: usize, seed: u64) -> Vec<Vec<KeyedFact>> {
    let rng = &mut Rng(seed);
    let mut waiting: Vec<usize> = (0..facts.len()).collect();
    let mut delivered = 0;
    let mut portions = vec![Vec::new()];
    while let Some(&first) = waiting.first() {
        let choice = match delivered - first < lateness {
            true => rng.below(waiting.len().min(lateness + 1)),
            false => 0,
        };
        let chosen = waiting.remove(choice);
        delivered += 1;
        portions.last_mut().unwrap().push(facts[chosen].clone());
        if rng.below(4) == 0 {
            let known = rng.below(facts.len());
            if !waiting.contains(&known) {
                portions.last_mut().unwrap().push(facts[known].clone());
            }
        }
        // Some 60 portions, so that a long log does not take long.
        if rng.below(3 + facts.len() / 64) == 0 {
            // A writer that was killed after it had saved adds the whole portion again.
            let again = portions.last().filter(|_| rng.below(8) == 0).cloned();
            portions.extend(again);
            portions.push(Vec::new());
        }
    }
    portions
}

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
fn facts_of(format: LogFormat, log: &str, rng: &mut Rng) -> Vec<KeyedFact> {
    let mut facts = Vec::new();
    let (mut time, mut line) = (1_763_200_000_000, 0);
    for (number, text) in log.lines().take(MOST_LINES).enumerate() {
        time += [0, 0, 1, 1_000, 3_600_001][rng.below(5)];
        line = if rng.below(3) == 0 { line + 100 } else { 0 };
        let event = LogEvent {
            log_stream: "main".to_owned(),
            timestamp: Timestamp::from_millis(time),
            ingested_at: Timestamp::from_millis(time),
            event_id: format!("{number:056}"),
            message: text.to_owned(),
        };
        let key = LineKey::of(&event, line);
        parse_message(format, text, &mut |inner, observation| {
            facts.push((key.with_line(line + inner), Fact::line(observation)));
        });
    }
    facts
}

/// Serializes and deserializes facts.
fn stored(log: &FactLog) -> FactLog {
    let json = serde_json::to_string(log).unwrap();
    serde_json::from_str(&json).unwrap()
}

fn check_task(format: LogFormat, facts: &[KeyedFact]) {
    let origin = TaskOrigin {
        format,
        log_group: "/logs".to_owned(),
        log_stream: "main".to_owned(),
    };
    let record = TaskRecord::new("main".parse().unwrap());
    let now = Timestamp::from_millis(1_763_300_000_000);
    if let Outcome::Changed { change, .. } = record.add_lines(facts.to_vec(), &origin, now) {
        for head in &change.heads {
            assert_sound(&head.next.task);
        }
    }
}

/// Checks that the fields of a task do not contradict each other.
///
/// # Panics
///
/// Panics if they do.
pub fn assert_sound(task: &Task) {
    let progress = [(task.status, task.progress)].into_iter();
    let parts = task.parts.values().map(|part| (part.status, part.progress));
    for (status, progress) in progress.chain(parts) {
        let completed = status == TaskStatus::Completed;
        assert!(
            progress
                .percentage
                .is_none_or(|share| share < 100 || completed)
        );
        assert!(
            completed || progress == shown_progress(progress, status),
            "{progress:?}"
        );
    }
    assert_eq!(task.completed_at.is_some(), task.status.is_terminal());
    let may_fail = !task.status.is_terminal() || task.status == TaskStatus::Failed;
    assert!(may_fail || task.failure.is_none(), "{:?}", task.failure);
}

/// Checks that a log with very many stacks can be stored.
fn check_bound(facts: &[KeyedFact], rng: &mut Rng) {
    if rng.below(8) > 0 {
        return; // the check is slow
    }
    let mut log = FactLog::default();
    for (key, fact) in facts.iter().take(MOST_AMPLIFIED) {
        let fact = |number: u32| {
            let mut fact = fact.clone();
            if let Fact::Line(observation) = &mut fact {
                rename(observation, number);
            }
            (key.with_line(number), fact)
        };
        log.add((0..STACKS).map(fact));
    }
    log.make_storable();
    let bytes = serde_json::to_vec(&log).unwrap().len();
    assert!(bytes <= MAX_BYTES, "a log of {bytes} bytes");
}

fn rename(observation: &mut Observation, number: u32) {
    let suffix = number.to_string();
    let observation = match observation {
        Observation::Cdk(observation) => observation,
        Observation::Samples(line) => {
            for sample in &mut line.samples {
                sample.template = sample.template.wrapping_add(u64::from(number));
            }
            return;
        }
        Observation::Agent(_) | Observation::Lambda(_) => return,
    };
    match observation {
        CdkObservation::Start { stack: name, .. }
        | CdkObservation::End { stack: name, .. }
        | CdkObservation::UnconfirmedEnd { stack: name, .. }
        | CdkObservation::StackIsIn { stack: name, .. }
        | CdkObservation::AssetPublished { stack: name }
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
        CdkObservation::Bar { .. }
        | CdkObservation::Hotswap
        | CdkObservation::Prepared
        | CdkObservation::Express { .. }
        | CdkObservation::TimeTaken { .. }
        | CdkObservation::Synthesized
        | CdkObservation::RunFailed { .. }
        | CdkObservation::RunCancelled { .. }
        | CdkObservation::RunCompleted
        | CdkObservation::Exception { .. }
        | CdkObservation::Cause { .. } => {}
    }
}
