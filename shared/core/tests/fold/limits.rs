//! Limits of the fold: many stacks, long logs.

use progress_core::fold::{Fact, FactLog, LATEST_FACTS, LineKey, MOST_FACTS, Report, Run};
use progress_core::log_event::LogEvent;
use progress_core::log_parser::{LogFormat, parse_message};
use progress_core::model::{TaskStatus, Timestamp};

/// The facts of `lines`, one second apart.
pub(crate) fn facts_of(format: LogFormat, lines: &[String]) -> Vec<(LineKey, Fact)> {
    let mut facts = Vec::new();
    for (number, line) in (0..).zip(lines) {
        let event = LogEvent {
            log_stream: "main".to_owned(),
            timestamp: Timestamp::from_millis(1_790_000_000_000 + 1_000 * number),
            ingested_at: Timestamp::from_millis(1_790_000_000_000 + 1_000 * number),
            event_id: format!("{number:056}"),
            message: line.clone(),
        };
        parse_message(format, line, &mut |inner, observation| {
            facts.push((LineKey::of(&event, inner), Fact::line(observation)));
        });
    }
    facts
}

fn report_of(log: &FactLog) -> Report {
    log.runs().last().map(Run::report).expect("a run")
}

/// A deploy of many stacks. All start, then all have rows, then all end.
fn many_stacks(stacks: usize) -> Vec<String> {
    let start = |n| format!("Stack{n}: deploying... [{n}/{stacks}]");
    let row =
        |n| format!("Stack{n} | 1/2 | 10:00:00 AM | CREATE_IN_PROGRESS | AWS::SQS::Queue | Jobs");
    let end = |n| format!(" ✅  Stack{n}");
    let all = || 1..=stacks;
    all()
        .map(start)
        .chain(all().map(row))
        .chain(all().map(end))
        .collect()
}

#[test]
fn a_run_of_many_stacks_ends_whatever_the_order_of_its_lines() {
    let stacks = 700;
    let lines = many_stacks(stacks);
    let facts = facts_of(LogFormat::CDK, &lines);
    assert_eq!(facts.len(), 3 * stacks);
    let mut log = FactLog::default();
    // Each portion is in the reverse order: facts are late by up to 255 others.
    for portion in facts.chunks(LATEST_FACTS) {
        for (key, fact) in portion.iter().rev() {
            log.add([(*key, fact.clone())]);
            log.compact(LATEST_FACTS, MOST_FACTS);
        }
    }
    let report = report_of(&log);
    assert_eq!(report.status, TaskStatus::Completed);
    assert!(report.title.unwrap().ends_with("+697"));
    assert!(log.facts().len() <= MOST_FACTS);

    log.add(facts); // again
    assert_eq!(report_of(&log).status, TaskStatus::Completed);
}

#[test]
fn a_run_of_more_stacks_than_it_keeps_ends_with_the_last_of_them() {
    let stacks = 1_500;
    let mut lines = many_stacks(stacks);
    let state = |lines: &[String]| {
        let report = report_of(&FactLog::from_iter(facts_of(LogFormat::CDK, lines)));
        (report.status, report.progress.percentage)
    };
    assert_eq!(state(&lines), (TaskStatus::Completed, Some(100)));
    let last = lines.pop().unwrap();
    assert_eq!(state(&lines), (TaskStatus::Running, Some(99)));
    let failed = last.replace('✅', "❌") + " failed: no room";
    assert_eq!(state(&[lines, vec![failed]].concat()).0, TaskStatus::Failed);
}

/// Runs of 19 steps and an end, one after another.
fn long_log(lines: usize) -> Vec<String> {
    let line = |number: usize| match number % 20 {
        0 => "All done".to_owned(),
        at => format!("Step {at}/19"),
    };
    (1..=lines).map(line).collect()
}

#[test]
fn a_log_of_any_length_takes_the_same_memory() {
    let stored_after = |lines: usize| {
        let mut log = FactLog::default();
        for portion in facts_of(LogFormat::AGENT, &long_log(lines)).chunks(1_000) {
            log.add(portion.to_vec());
            log.compact(LATEST_FACTS, MOST_FACTS);
        }
        serde_json::to_vec(&log).unwrap().len()
    };
    let (short, long) = (stored_after(5_000), stored_after(100_000));
    assert!(long < short + short / 10, "{short} bytes, then {long}");
}

#[test]
fn samples_of_a_rising_counter_leave_room_for_other_facts() {
    let mut lines = vec![
        "Step 1/1000000".to_owned(),
        "deployed: BUILD FAILED".to_owned(),
    ];
    lines.extend((2..20_000).map(|step| format!("Step {step}/1000000")));
    let facts = facts_of(LogFormat::AGENT, &lines);
    let mut log = FactLog::default();
    for portion in facts.chunks(300) {
        log.add(portion.to_vec());
        log.compact(LATEST_FACTS, MOST_FACTS);
    }
    assert_eq!(
        log.watermark(),
        None,
        "a fact from the start may still be late"
    );
    assert!(log.facts().len() < MOST_FACTS);
    let runs = log.runs();
    log.add(facts);
    assert_eq!(log.runs(), runs);
}
