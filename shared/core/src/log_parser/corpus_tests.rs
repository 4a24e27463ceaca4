//! Compares the parser with what a person read in excerpts of real logs.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::properties::assert_survives_storage;
use super::*;
use crate::model::TaskStatus;

fn records(corpus: &str) -> impl Iterator<Item = (String, Vec<String>, Value)> {
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
                panic!("{id}: an observation of CDK in an agent log");
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
fn lines_that_are_not_progress_have_no_observation() {
    for (id, lines, _) in records(include_str!("../../test_data/logs/negatives.jsonl")) {
        for format in LogFormat::ALL {
            assert_eq!(parse_all(format, &lines.join("\n")), [], "{id} {format:?}");
        }
    }
}

/// The text of every file of real and composed logs.
fn all_files() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("test_data/logs");
    let paths = fs::read_dir(folder).unwrap();
    let paths = paths.map(|entry| entry.unwrap().path());
    let files = paths.filter(|path| path.extension().is_some_and(|end| end == "jsonl"));
    files
        .map(|path| fs::read_to_string(path).unwrap())
        .collect()
}

#[test]
fn a_line_that_the_parser_reads_passes_the_pre_filter() {
    let mut read = 0;
    for (id, lines, _) in all_files().iter().flat_map(|file| records(file)) {
        let message = lines.join("\n");
        for format in LogFormat::ALL {
            for line in plain_lines(&message) {
                let cleaned = line::clean(&line);
                if matches!(format.parse_unfiltered(&cleaned), Ok(None)) {
                    continue;
                }
                assert!(format.may_match(&line), "{id} {format:?}: {line:?}");
                let filtered = format.parse(&cleaned);
                assert_eq!(
                    filtered,
                    format.parse_unfiltered(&cleaned),
                    "{id}: {line:?}"
                );
                read += 1;
            }
        }
    }
    assert!(read > 500, "only {read} lines were read");
}

#[test]
fn every_observation_of_the_files_survives_storage() {
    let mut stored = 0;
    for (_, lines, _) in all_files().iter().flat_map(|file| records(file)) {
        for format in LogFormat::ALL {
            for observation in parse_all(format, &lines.join("\n")) {
                assert_survives_storage(&observation);
                stored += 1;
            }
        }
    }
    assert!(stored > 500, "only {stored} observations were stored");
}

/// The lines of `message`, and those inside of JSON objects.
fn plain_lines(message: &str) -> Vec<String> {
    let lines = line::split_lines(message).flat_map(|line| {
        let cleaned = line::clean(line);
        let object = line::strip_all_prefixes(&cleaned);
        if !object.starts_with('{') {
            return vec![line.to_owned()];
        }
        match json::parse(object) {
            Ok(object) => object.wrapped().map(|text| plain_lines(&text)),
            Err(_) => json::salvage(object).map(|text| plain_lines(&text)),
        }
        .unwrap_or_default()
    });
    lines.collect()
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
        // Some programs cut long lines.
        let cut = lines
            .iter()
            .map(|line| line.chars().take(cut_at).collect::<String>());
        let observations = parse_all(LogFormat::CDK, &cut.collect::<Vec<_>>().join("\n"));
        for (name, expect) in stacks {
            // The fold finds the stack of a row without a stack name. Here it is the only stack.
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
