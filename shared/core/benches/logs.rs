//! Measures parsing and folding of log lines: `cargo bench -p progress-core --bench logs`.
//!
//! The mixed log is that of a CI job: one line in twenty is of CDK, from the logs of the
//! tests. Two simple tasks are measured for comparison: counting matches of `[0-9]+/[0-9]+`, and
//! counting line ends.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a bench fails by panicking"
)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use progress_core::fold::{Fact, FactLog, LATEST_FACTS, LineKey, MOST_FACTS, Report, Run};
use progress_core::log_parser::{LogFormat, parse_message};
use progress_core::model::Timestamp;
use regex::Regex;
use serde_json::Value;

const CDK: &str = include_str!("../test_data/logs/cdk.jsonl");
const AGENTS: &str = include_str!("../test_data/logs/agents.jsonl");
const LINES: usize = 40_000;
/// The number of facts that are folded at once, as in a full batch.
const PORTION: usize = 16_384;
/// One line in this many is of CDK in the mixed log.
const ONE_OF: usize = 20;

/// Lines of other programs in a CI job that deploys.
const OTHERS: [&str; 19] = [
    "npm warn deprecated inflight@1.0.6: This module is not supported, and leaks memory. Do not use it.",
    "added 1312 packages, and audited 1313 packages in 38s",
    "",
    "#12 8.412 Get:14 http://deb.example.org/debian bookworm/main amd64 libssl-dev amd64 3.0.15-1 [2436 kB]",
    "#12 9.027 Selecting previously unselected package libssl-dev:amd64.",
    "#12 9.104 Preparing to unpack .../07-libssl-dev_3.0.15-1_amd64.deb ...",
    "[Container] 2026/11/24 03:12:45.118034 Running command npm run build",
    "> shop@2.4.0 build",
    "> tsc --build && node scripts/bundle.mjs",
    "src/handlers/orders.ts(41,17): warning TS6133: 'context' is declared but its value is never read.",
    "  dist/orders.js   212.4kb",
    "PASS test/orders.test.ts",
    "  ✓ refuses an order without lines (12 ms)",
    "    at Object.<anonymous> (/codebuild/output/src/shop/test/orders.test.ts:118:23)",
    "2026-11-24T03:13:02.511Z INFO request finished method=GET path=/orders status=200 took=12ms",
    "Unpacking libssl-dev:amd64 (3.0.15-1) ...",
    "Bundling asset Shop/Orders/Code/Stage...",
    "  File sizes after gzip: main.js and its chunks are in dist, source maps are not uploaded",
    "warning: LF will be replaced by CRLF the next time Git touches it",
];

/// The lines of all logs in a file of the tests.
fn lines_of(corpus: &str) -> Vec<String> {
    let records = corpus
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let lines = records.flat_map(|record: Value| {
        let lines = record["lines"].as_array().unwrap().clone();
        lines
            .into_iter()
            .map(|line| line.as_str().unwrap().to_owned())
    });
    lines.collect()
}

/// A log in which one line in `one_of` is of `corpus`.
fn mixed_log(corpus: &str, one_of: usize) -> Vec<String> {
    let lines = lines_of(corpus);
    let line = |number: usize| {
        if number.is_multiple_of(one_of) {
            lines[number / one_of % lines.len()].clone()
        } else {
            OTHERS[number % OTHERS.len()].to_owned()
        }
    };
    (0..LINES).map(line).collect()
}

/// Parses and folds a log, and derives the state of its runs. The facts are folded in portions, as
/// batches are.
fn fold(format: LogFormat, lines: &[String]) -> Vec<Report> {
    let mut log = FactLog::default();
    let mut facts = Vec::new();
    for (time, line) in (0..).zip(lines) {
        parse_message(format, line, &mut |number, observation| {
            let key = LineKey::outside_logs(Timestamp::from_millis(time)).with_line(number);
            facts.push((key, Fact::line(observation)));
        });
        if facts.len() >= PORTION {
            log.add(facts.drain(..));
            log.compact(LATEST_FACTS, MOST_FACTS);
        }
    }
    log.add(facts);
    log.runs().iter().map(Run::report).collect()
}

/// A report of an agent in JSON.
fn report_line(number: usize) -> String {
    let (step, total) = (number % 500, 500);
    format!(
        r#"{{"timestamp":"2026-11-24T03:13:02.511Z","level":"INFO","message":"indexed shard {number}","phase":"index","progress":{{"current":{step},"total":{total}}}}}"#
    )
}

fn logs(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("logs");
    group.sample_size(20);
    let mixed = mixed_log(CDK, ONE_OF);
    let dense = mixed_log(CDK, 1);
    let agents = mixed_log(AGENTS, 1);
    let reports: Vec<_> = (0..LINES).map(report_line).collect();
    let size = |lines: &[String]| lines.iter().map(|line| line.len() as u64 + 1).sum();
    group.throughput(Throughput::Bytes(size(&mixed)));
    let text = mixed.join("\n");
    let pairs = Regex::new("[0-9]+/[0-9]+").unwrap();
    group.bench_function("mixed, count pairs by regex", |bencher| {
        bencher.iter(|| pairs.find_iter(black_box(&text)).count());
    });
    group.bench_function("mixed, split lines", |bencher| {
        bencher.iter(|| memchr::memchr_iter(b'\n', black_box(text.as_bytes())).count());
    });
    group.bench_function("mixed, parse and fold as CDK", |bencher| {
        bencher.iter(|| fold(LogFormat::CDK, black_box(&mixed)));
    });
    group.bench_function("mixed, parse and fold as agent", |bencher| {
        bencher.iter(|| fold(LogFormat::AGENT, black_box(&mixed)));
    });
    group.throughput(Throughput::Bytes(size(&dense)));
    group.bench_function("CDK alone, parse", |bencher| {
        bencher.iter(|| {
            for line in black_box(&dense) {
                parse_message(LogFormat::CDK, line, &mut |_, observation| {
                    black_box(observation);
                });
            }
        });
    });
    group.bench_function("CDK alone, parse and fold", |bencher| {
        bencher.iter(|| fold(LogFormat::CDK, black_box(&dense)));
    });
    group.throughput(Throughput::Bytes(size(&agents)));
    group.bench_function("agents alone, parse and fold", |bencher| {
        bencher.iter(|| fold(LogFormat::AGENT, black_box(&agents)));
    });
    group.throughput(Throughput::Bytes(size(&reports)));
    group.bench_function("JSON reports, parse and fold", |bencher| {
        bencher.iter(|| fold(LogFormat::AGENT, black_box(&reports)));
    });
    group.finish();
}

criterion_group!(benches, logs);
criterion_main!(benches);
