//! Sweeps of the collector.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bench::events::sweep;
use bench::logs::Logs;
use bench::statistics::{Times, millis};
use bench::table::Table;
use shared::error::Source;

use crate::Bench;

/// How many events each of both log groups has in the small sweep.
const EVENTS: usize = 1000;
const SWEEPS: usize = 11;
/// How many log streams share the lines of a large sweep.
const STREAMS: usize = 20;

pub(super) fn measure(bench: &Bench) -> Result<String, Source> {
    let logs = bench.runtime.block_on(Logs::start())?;
    let collector = bench
        .collector
        .with("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", &logs.endpoint_url);
    let mut table = Table::new(&["a sweep", "ms", "CPU ms", "CPU µs a line", "peak MiB"]);

    let mut function = collector.start()?;
    let mut took = Vec::new();
    let mut cpu = Duration::ZERO;
    for round in 0..=SWEEPS {
        logs.set(&lines(EVENTS), 1, now_ms());
        let before = function.cpu_time()?;
        let sweep = function.invoke(&sweep())?;
        expect_complete(&sweep.answer)?;
        if round > 0 {
            took.push(sweep.took);
            cpu += function.cpu_time()? - before;
        }
    }
    let cpu = cpu / u32::try_from(SWEEPS).unwrap_or(1);
    row(
        &mut table,
        "2 × 1,000 events",
        Times::new(took).median(),
        cpu,
        2 * EVENTS,
        function.peak_memory()?,
    );
    drop(function);

    for &number in &bench.arguments.lines {
        logs.set(&lines(number / 2), STREAMS, now_ms());
        let mut function = collector.start()?;
        let before = function.cpu_time()?;
        let sweep = function.invoke(&sweep())?;
        expect_complete(&sweep.answer)?;
        let cpu = function.cpu_time()? - before;
        row(
            &mut table,
            &format!("{number} lines, cold"),
            sweep.took,
            cpu,
            number,
            function.peak_memory()?,
        );
    }
    Ok(format!("\n### Collecting\n\n{}", table.render()))
}

fn row(table: &mut Table, name: &str, took: Duration, cpu: Duration, lines: usize, memory: u64) {
    let micros = cpu.as_secs_f64() * 1e6 / lines.max(1) as f64;
    table.row(&[
        name,
        &millis(took),
        &millis(cpu),
        &format!("{micros:.2}"),
        &format!("{:.1}", memory as f64 / 1024.0 / 1024.0),
    ]);
}

fn expect_complete(answer: &[u8]) -> Result<(), Source> {
    let answer: serde_json::Value = serde_json::from_slice(answer)?;
    let groups = answer["groups"].as_array().map_or(&[][..], Vec::as_slice);
    let is_complete =
        |group: &serde_json::Value| group["complete"] == true && group["tasks_changed"] != 0;
    if groups.len() == 2 && groups.iter().all(is_complete) {
        return Ok(());
    }
    Err(format!("the sweep was not complete: {answer}").into())
}

fn now_ms() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    // A little while ago, so that nothing is too new to be read.
    u64::try_from(now.as_millis()).unwrap_or_default() - 20_000
}

/// A deploy of so many lines: rows of CDK, and what other programs print around them.
fn lines(number: usize) -> Vec<String> {
    let line = |number: usize| match number % 10 {
        0 => format!(
            "Shop | {}/29 | 10:00:{:02} AM | CREATE_COMPLETE      | AWS::SQS::Queue | Queue{} (Queue1A2B)",
            number % 29,
            number % 60,
            number % 29
        ),
        1 => format!("[{}/10] reading the repository", number % 10 + 1),
        2 => format!("npm warn deprecated package@{number}.1.0: use another"),
        3 => format!(
            "#12 {}.4 Get:1 https://example.com/debian bookworm/main amd64 package_{number} [48.1 kB]",
            number % 60
        ),
        4 => "Successfully tagged build:latest".to_owned(),
        5 => format!(
            "2026-11-24T10:00:{:02}.123Z INFO resolved 12 modules in {number} ms",
            number % 60
        ),
        6 => format!(" ---> Running in 4f5e{number:08x}"),
        7 => String::new(),
        8 => format!(
            "  at Object.<anonymous> (/app/src/index.ts:{}:17)",
            number % 400
        ),
        _ => "added 312 packages, and audited 313 packages in 9s".to_owned(),
    };
    (0..number).map(line).collect()
}
