//! Excerpts of real logs against what a person reads in them.

use serde_json::Value;

use super::*;
use crate::model::TaskStatus;

fn records(corpus: &'static str) -> impl Iterator<Item = (String, Vec<String>, Value)> {
    corpus.lines().map(|record| {
        let record: Value = serde_json::from_str(record).unwrap();
        let lines = record["lines"].as_array().unwrap();
        let lines = lines.iter().map(|line| line.as_str().unwrap().to_owned());
        (
            record["id"].as_str().unwrap().to_owned(),
            lines.collect(),
            record["expect"].clone(),
        )
    })
}

pub(super) fn parse_all(format: LogFormat, message: &str) -> Vec<Observation> {
    let mut observations = Vec::new();
    parse_message(format, message, &mut |_, observation| {
        observations.push(observation)
    });
    observations
}

#[test]
fn the_outer_counter_of_each_agent_is_found() {
    for (id, lines, expect) in records(include_str!("../../test_data/logs/agents.jsonl")) {
        let mut outer: Option<(CounterKind, Counter)> = None;
        let mut status = None;
        for observation in parse_all(LogFormat::AGENT, &lines.join("\n")) {
            let Observation::Agent(agent) = observation else {
                panic!("{id}: a line of CDK in an agent's log");
            };
            for (kind, counter) in agent.counters {
                if outer.is_none_or(|(known, _)| known <= kind) {
                    outer = Some((kind, counter));
                }
            }
            status = agent.status.or(status);
        }
        let counter = outer.map(|(_, counter)| counter);
        let field = |name: &str| expect[name].as_u64();
        assert_eq!(
            counter.and_then(|counter| counter.current),
            field("current"),
            "{id}"
        );
        assert_eq!(
            counter.and_then(|counter| counter.total),
            field("total"),
            "{id}"
        );
        if let Some(percentage) = field("percentage") {
            let found = counter.and_then(|counter| counter.percentage);
            assert_eq!(found.map(u64::from), Some(percentage), "{id}");
        }
        let status = status.map_or("running", TaskStatus::as_str);
        let accepted = expect["accept_status"].as_array();
        let mut accepted = accepted.into_iter().flatten().chain([&expect["status"]]);
        assert!(
            accepted.any(|accepted| accepted == status),
            "{id}: {status}"
        );
    }
}

#[test]
fn nothing_is_taken_from_lines_that_are_not_progress() {
    for (id, lines, _) in records(include_str!("../../test_data/logs/negatives.jsonl")) {
        for format in [LogFormat::CDK, LogFormat::AGENT] {
            assert_eq!(parse_all(format, &lines.join("\n")), [], "{id} {format:?}");
        }
    }
}

const CDK: &str = include_str!("../../test_data/logs/cdk.jsonl");
const DERIVED: &str = include_str!("../../test_data/logs/cdk-derived.jsonl");

#[test]
fn the_last_counter_of_each_stack_is_found() {
    check_stacks(&[CDK, DERIVED], usize::MAX);
}

#[test]
fn the_last_counter_of_each_stack_is_found_in_cut_lines() {
    check_stacks(&[CDK], 110);
}

fn check_stacks(corpora: &[&'static str], cut_at: usize) {
    for (id, lines, expect) in corpora.iter().copied().flat_map(records) {
        let stacks = expect["stacks"].as_object().unwrap();
        // Some writers cut their lines.
        let cut = lines
            .iter()
            .map(|line| line.chars().take(cut_at).collect::<String>());
        let observations = parse_all(LogFormat::CDK, &cut.collect::<Vec<_>>().join("\n"));
        for (name, expect) in stacks {
            // Which stack a row without a name is of is found elsewhere: here, only one is there.
            let counters = observations
                .iter()
                .filter_map(|observation| match observation {
                    Observation::Cdk(CdkObservation::Row { stack, counter, .. })
                        if stacks.len() == 1 || stack.as_deref() == Some(name) =>
                    {
                        *counter
                    }
                    Observation::Cdk(
                        CdkObservation::Bar { counter }
                        | CdkObservation::CurrentlyInProgress { counter, .. },
                    ) => Some(*counter),
                    _ => None,
                });
            let last = counters.fold(None, |_, counter| Some(counter));
            assert_eq!(
                last.and_then(|counter| counter.current),
                expect["current"].as_u64(),
                "{id} {name}"
            );
            assert_eq!(
                last.and_then(|counter| counter.total),
                expect["total"].as_u64(),
                "{id} {name}"
            );
        }
    }
}
