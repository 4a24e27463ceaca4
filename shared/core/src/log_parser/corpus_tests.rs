//! Properties of the parser on the lines of all labelled logs.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::properties::assert_survives_storage;
use super::*;

fn records(corpus: &str) -> impl Iterator<Item = (String, Vec<String>)> {
    corpus.lines().map(|record| {
        let record: Value = serde_json::from_str(record).unwrap();
        let lines = record["lines"].as_array().unwrap();
        let lines = lines.iter().map(|line| line.as_str().unwrap().to_owned());
        (record["id"].as_str().unwrap().to_owned(), lines.collect())
    })
}

pub(super) fn parse_all(format: LogFormat, message: &str) -> Vec<Observation> {
    let mut observations = Vec::new();
    parse_message(format, message, &mut |_, observation| {
        observations.push(observation)
    });
    observations
}

/// The text of every file of labelled logs.
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
    for (id, lines) in all_files().iter().flat_map(|file| records(file)) {
        let message = lines.join("\n");
        for format in LogFormat::ALL {
            for line in plain_lines(&message) {
                let cleaned = line::clean(&line);
                if matches!(format.parse_unfiltered(&cleaned), Ok(None)) {
                    continue;
                }
                let seen = if line::has_controls(&line) {
                    &cleaned
                } else {
                    line.as_str()
                };
                assert!(may_match(seen), "{id} {format:?}: {line:?}");
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
    for (_, lines) in all_files().iter().flat_map(|file| records(file)) {
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

#[test]
fn a_row_that_is_cut_after_its_counter_keeps_the_counter() {
    let rows = |lines: &[String], cut_at: usize| {
        let cut = |line: &String| line.chars().take(cut_at).collect::<String>();
        let message = lines.iter().map(cut).collect::<Vec<_>>().join("\n");
        let rows = parse_all(LogFormat::CDK, &message).into_iter();
        let counters = rows.filter_map(|observation| match observation {
            Observation::Cdk(CdkObservation::Row { stack, counter, .. }) => Some((stack, counter)),
            _ => None,
        });
        counters.collect::<Vec<_>>()
    };
    for (id, lines) in records(include_str!("../../test_data/logs/cdk.jsonl")) {
        assert_eq!(rows(&lines, 110), rows(&lines, usize::MAX), "{id}");
    }
}
