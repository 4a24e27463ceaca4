//! Sweeps of the collector.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lab::events::sweep;
use lab::function::Function;
use lab::logs::Logs;
use lab::measure::Subject;
use lab::statistics::{Times, millis, ratio};
use lab::table::Table;
use shared::error::Source;

use super::bench::Bench;

/// The events of each of the two log groups in a small sweep.
const EVENTS: usize = 1000;
const SWEEPS: usize = 11;
/// The log streams of a large sweep.
const STREAMS: usize = 20;

/// The costs of a sweep.
struct Cost {
    took: Duration,
    cpu: Duration,
    peak_memory: u64,
}

pub(super) fn measure(bench: &Bench) -> Result<String, Source> {
    let logs = bench.runtime.block_on(Logs::start())?;
    let reading = |collector: &Subject| {
        collector.with("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", &logs.endpoint_url)
    };
    let collector = reading(&bench.collector);
    let mut table = Table::new(&[
        "a sweep",
        "ms",
        "CPU ms",
        "CPU µs a line",
        "peak MiB",
        "× baseline",
    ]);

    let [ours, baseline] = in_turns(&logs, [&collector, &reading(&bench.baseline)])?;
    for (name, cost) in [
        ("2 × 1,000 events", &ours),
        ("2 × 1,000 events, baseline", &baseline),
    ] {
        let ratio = format!("{:.3}", ratio(cost.took, baseline.took));
        row(&mut table, name, 2 * EVENTS, cost, &ratio);
    }

    for &number in &bench.arguments.lines {
        logs.set(&lines(number / 2), STREAMS, now_ms());
        let cost = sweep_once(&mut collector.start()?)?;
        row(
            &mut table,
            &format!("{number} lines, cold"),
            number,
            &cost,
            "",
        );
    }
    Ok(format!("\n### Collecting\n\n{}", table.render()))
}

/// Small sweeps of both warm collectors. Both read the same events, and each sweep has new ones.
fn in_turns(logs: &Logs, collectors: [&Subject; 2]) -> Result<[Cost; 2], Source> {
    let mut functions = [collectors[0].start()?, collectors[1].start()?];
    let mut costs = [const { Vec::new() }; 2];
    for round in 0..=SWEEPS {
        logs.set(&lines(EVENTS), 1, now_ms());
        for (function, costs) in functions.iter_mut().zip(&mut costs) {
            let cost = sweep_once(function)?;
            if round > 0 {
                costs.push(cost);
            }
        }
    }
    Ok(costs.map(typical))
}

/// The median time, the mean processor time, and the peak memory.
fn typical(costs: Vec<Cost>) -> Cost {
    let cpu: Duration = costs.iter().map(|cost| cost.cpu).sum();
    let most = costs.iter().map(|cost| cost.peak_memory).max();
    Cost {
        cpu: cpu / u32::try_from(costs.len()).unwrap_or(u32::MAX).max(1),
        peak_memory: most.unwrap_or_default(),
        took: Times::new(costs.into_iter().map(|cost| cost.took).collect()).median(),
    }
}

fn sweep_once(function: &mut Function) -> Result<Cost, Source> {
    let before = function.cpu_time()?;
    let sweep = function.invoke(&sweep())?;
    expect_complete(&sweep.answer)?;
    Ok(Cost {
        took: sweep.took,
        cpu: function.cpu_time()? - before,
        peak_memory: function.peak_memory()?,
    })
}

fn row(table: &mut Table, name: &str, lines: usize, cost: &Cost, ratio: &str) {
    let micros = cost.cpu.as_secs_f64() * 1e6 / lines.max(1) as f64;
    table.row(&[
        name,
        &millis(cost.took),
        &millis(cost.cpu),
        &format!("{micros:.2}"),
        &format!("{:.1}", cost.peak_memory as f64 / 1024.0 / 1024.0),
        ratio,
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
    // In the past, so that no event is too new to be read.
    u64::try_from(now.as_millis()).unwrap_or_default() - 20_000
}

/// The lines of a deploy: rows of CDK, and lines of other programs around them.
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
