//! Property tests of the fold on generated logs. The runs of a task depend only on its facts, not on
//! their order, portions or repetition.
//!
//! `PROPTEST_CASES=100000 cargo test -p progress-core --test fold` runs many more cases.

mod agents;
mod behaviour;
mod cdk;
mod ends;
mod limits;
mod mixed;
mod rules;
mod runs;
mod sessions;

use std::collections::BTreeSet;
use std::time::Duration;

use progress_core::fold::properties::check_deliveries;
use progress_core::fold::{Fact, FactLog, KeyedFact, LastLines, LineKey, MOST_FACTS, Report};
use progress_core::log_parser::Observation;
use progress_core::model::{TaskStatus, Timestamp};
use proptest::prelude::*;
use proptest::sample::Index;
use runs::{Line, any_edit, any_log, fact_of, sensible_log, sessions_at_once};

/// The number of cases of each property, unless `PROPTEST_CASES` is set.
const CASES: u32 = 1_000;

fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: cases.unwrap_or(CASES),
        ..ProptestConfig::default()
    }
}

fn fold<'a>(lines: impl IntoIterator<Item = &'a Line>) -> FactLog {
    lines.into_iter().map(fact_of).collect()
}

/// The number of runs, and the corrections and the state of the newest; `None` if there is none.
fn newest(log: &FactLog) -> Option<((usize, u32), Report)> {
    let runs = log.runs();
    let newest = runs.last()?;
    Some(((runs.len(), newest.corrections), newest.report()))
}

proptest! {
    #![proptest_config(config())]

    /// Once is the same as many; any split, overlap and order, for facts as late as allowed; and
    /// later ones never lead back.
    #[test]
    fn the_delivery_of_facts_does_not_matter(
        log in any_log(),
        other in proptest::collection::vec((any_other_fact(), any::<Index>()), 0..4),
        plain in proptest::collection::vec((any_text(), any::<Index>()), 0..4),
        seed: u64,
    ) {
        let mut facts: Vec<_> = log.iter().map(fact_of).collect();
        for (number, (fact, place)) in (1..).zip(other) {
            let key = place.get(&log).key;
            // It is only written after all lines that are read.
            if plain.is_empty() || !matches!(fact, Fact::EndOfLog { .. }) {
                facts.push((key.with_line(number), fact));
            }
        }
        for (number, (text, place)) in (9..).zip(plain) {
            let key = place.get(&log).key.with_line(number);
            facts.push((key, Fact::Lines(last_lines([(key, text)]))));
        }
        facts.sort_by_key(|(key, _)| *key);
        check_deliveries(&facts, seed);
    }

    /// Sessions at once are runs as each of them alone would be.
    #[test]
    fn sessions_at_once_are_as_each_alone(facts in sessions_at_once(), seed: u64) {
        check_deliveries(&facts, seed);
        let sessions: BTreeSet<_> = facts.iter().map(|(at, _)| at.session()).collect();
        let mut alone = Vec::new();
        for session in sessions {
            let own = facts.iter().filter(|(at, _)| at.session() == session);
            let runs = own.cloned().collect::<FactLog>().runs();
            prop_assert_eq!(runs.len(), 1);
            alone.extend(runs);
        }
        alone.sort_by_key(|run| run.start);
        let together = facts.into_iter().collect::<FactLog>().runs();
        prop_assert_eq!(together.len(), alone.len());
        for (run, alone) in together.iter().zip(&alone) {
            prop_assert_eq!(run.report(), alone.report());
        }
    }

    /// What follows when a log begins anew is as if nothing had been before, in any portions.
    #[test]
    fn a_log_that_begins_anew_is_as_alone(first in any_log(), second in any_log(), size in 1..9_usize) {
        let logs = [first, second];
        let mut facts = one_after_another(&logs);
        let second = facts.split_off(logs[0].len());
        // The invocations of a function begin by themselves.
        let is_of_function = |fact: &Fact| match fact {
            Fact::Line(line) => matches!(**line, Observation::Lambda(_)),
            _ => false,
        };
        prop_assume!(!second.iter().any(|(_, fact)| is_of_function(fact)));
        let alone = second.iter().cloned().collect::<FactLog>().runs();
        let (at, _) = second[0];
        let restart = (LineKey::outside_logs(at.time()), Fact::Restart); // line 0 is of the first log
        facts.push(restart);
        facts.extend(second);
        let mut log = FactLog::default();
        for portion in facts.chunks(size) {
            log.add(portion.iter().cloned());
            log.add(portion.iter().cloned());
            log.compact(4, 8);
        }
        // Those before the last one may have become final.
        for (run, alone) in log.runs().iter().rev().zip(alone.iter().rev()) {
            prop_assert_eq!(run.report(), alone.report());
            prop_assert_eq!(run.start, alone.start);
        }
    }

    /// A run does not go backwards while lines arrive in order.
    #[test]
    fn a_run_never_goes_backwards(log in sensible_log()) {
        let mut facts = FactLog::default();
        let mut before = None;
        for line in &log {
            facts.add([fact_of(line)]);
            let Some(report) = newest(&facts) else { continue };
            if let Some(before) = &before {
                check_step(before, &report)?;
            }
            before = Some(report);
        }
    }

    /// A part has a start, an end once it is terminal, and both are within the log.
    #[test]
    fn a_part_has_a_start_and_an_end(log in any_log()) {
        let Some((_, report)) = newest(&fold(&log)) else { return Ok(()) };
        for (name, part) in &report.parts {
            let start = part.started_at.unwrap();
            prop_assert_eq!(part.completed_at.is_some(), part.status.is_terminal(), "{}", name);
            let end = part.completed_at.unwrap_or(report.last.time());
            prop_assert!(report.first.time() <= start && start <= end, "{name}: {start} {end}");
            prop_assert!(end <= report.last.time(), "{name} ended after the last line");
        }
    }

    #[test]
    fn facts_survive_serialization(log in any_log(), lateness in 0..40usize) {
        let mut facts = fold(&log);
        for trims in [false, true] {
            if trims {
                facts.compact(lateness, lateness);
            }
            let json = serde_json::to_string(&facts).unwrap();
            let stored = serde_json::from_str::<FactLog>(&json).unwrap();
            prop_assert_eq!(stored.runs(), facts.runs());
            prop_assert_eq!(serde_json::to_string(&stored).unwrap(), json);
        }
    }
}

/// A fact that is not in a log.
fn any_other_fact() -> impl Strategy<Value = Fact> {
    prop_oneof![
        any_edit().prop_map(Fact::Edit),
        Just(Fact::Deletion),
        (0..2).prop_map(exit),
        Just(Fact::Session(Box::default())),
        (any_text(), any::<bool>()).prop_map(|(text, is_assumed)| Fact::EndOfLog {
            last_lines: last_lines([(LineKey::outside_logs(Timestamp::default()), text)]),
            is_assumed,
        }),
    ]
}

fn exit(code: i32) -> Fact {
    let last_lines = LastLines::default();
    Fact::Exit { code, last_lines }
}

/// A line that says nothing unless it is the last one.
fn any_text() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&["Mixing", "All done", "ValueError: no ink", "^C"][..])
}

fn last_lines<'a>(lines: impl IntoIterator<Item = (LineKey, &'a str)>) -> LastLines {
    let mut last = LastLines::default();
    for (key, line) in lines {
        last.insert(key, line);
    }
    last
}

proptest! {
    // A case takes as long as a hundred of the others.
    #![proptest_config(ProptestConfig { cases: config().cases.div_ceil(100), ..config() })]

    /// The delivery of lines does not matter with the limits of the product: 256 facts late.
    #[test]
    fn the_delivery_of_a_long_log_does_not_matter(
        logs in proptest::collection::vec(any_log(), 90..120), seed: u64,
    ) {
        let facts = one_after_another(&logs);
        prop_assume!(facts.len() > 3 * MOST_FACTS);
        check_deliveries(&facts, seed);
    }
}

/// The facts of several logs, one after another. Each begins 20 minutes after the one before.
fn one_after_another(logs: &[Vec<Line>]) -> Vec<KeyedFact> {
    let mut facts: Vec<KeyedFact> = Vec::new();
    for (number, log) in (0..).zip(logs) {
        for (key, fact) in log.iter().map(fact_of) {
            let time = key.time().after(Duration::from_secs(1_200) * number);
            let line = u32::try_from(facts.len()).expect("a short log");
            facts.push((LineKey::outside_logs(time).with_line(line), fact));
        }
    }
    facts
}

fn check_step(
    (runs_before, before): &((usize, u32), Report),
    (runs, after): &((usize, u32), Report),
) -> Result<(), TestCaseError> {
    let is_new_run = runs > runs_before;
    prop_assert!(runs >= runs_before, "an earlier run replaced a later one");
    prop_assert!(
        !before.status.is_terminal() || after.status == before.status || is_new_run,
        "{:?} became {:?} within a run",
        before.status,
        after.status
    );
    let turned = |report: &Report| {
        let phases = report
            .parts
            .values()
            .filter_map(|part| part.phase.as_deref());
        report.status == TaskStatus::Failed
            || phases.into_iter().any(|phase| phase.contains("roll"))
    };
    if !is_new_run && !turned(after) && !turned(before) {
        let percentages = (before.progress.percentage, after.progress.percentage);
        prop_assert!(
            percentages.1.is_none() || percentages.0 <= percentages.1,
            "the percentage fell: {percentages:?}"
        );
    }
    for (name, part) in &before.parts {
        if is_new_run {
            break; // a later run has parts of its own
        }
        // The CloudFormation name replaces the display name once it is known.
        let now = after
            .parts
            .get(name)
            .or_else(|| after.parts.get(&name.replace('/', "-")));
        prop_assert!(now.is_some(), "the part {name} was lost");
        let stays = now.is_some_and(|now| now.status == part.status);
        prop_assert!(
            !part.status.is_terminal() || stays,
            "{name} left a terminal status"
        );
    }
    Ok(())
}

#[test]
fn a_line_has_the_same_key_each_time_it_is_read() {
    let event = progress_core::log_event::LogEvent {
        log_stream: "main".to_owned(),
        timestamp: progress_core::model::Timestamp::from_millis(5),
        ingested_at: progress_core::model::Timestamp::from_millis(5),
        event_id: "17".to_owned(),
        message: String::new(),
    };
    assert_eq!(
        LineKey::of(&event, 3),
        LineKey::of(&event.clone(), 0).with_line(3)
    );
}
