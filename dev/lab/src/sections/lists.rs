//! A page of the list, by the number of stored tasks.

use lab::chart::{self, Point};
use lab::events::request;
use lab::measure::warm;
use lab::statistics::{millis, ratio};
use lab::table::Table;
use shared::error::Source;
use shared::model::{Task, TaskStatus};
use testkit::store::conformance::{moment, new_task};

use super::bench::Bench;

/// The number of tasks that are stored at once. Their items are all in memory meanwhile.
const BATCH: usize = 10_000;

pub(super) fn measure(bench: &Bench) -> Result<String, Source> {
    let cached = |_| request("GET", "/api/tasks", "limit=100", None);
    let no_cache = bench.api.with("REDIS_ENDPOINT", "");
    let mut table = Table::new(&[
        "100 tasks (p50)",
        "cached, ms",
        "× no-op",
        "× first",
        "from DynamoDB, ms",
        "× no-op",
        "× first",
    ]);
    let mut stored = 0;
    let mut first = None;
    let mut points = Vec::new();
    for &number in &bench.arguments.stored {
        while stored < number {
            let end = number.min(stored + BATCH);
            bench.services.dynamodb.fill((stored..end).map(task))?;
            stored = end;
        }
        let invocations = bench.arguments.invocations / 4;
        let health = |_| lab::events::get("/health");
        let measured = warm(
            &[
                (&bench.noop, &health),
                (&bench.api, &cached),
                (&no_cache, &cached),
            ],
            invocations,
        )?;
        let [noop, hit, read] = [0, 1, 2].map(|number: usize| measured[number].took.median());
        let (first_hit, first_read) = *first.get_or_insert((hit, read));
        table.row(&[
            &format!("{stored} stored"),
            &millis(hit),
            &format!("{:.2}", ratio(hit, noop)),
            &format!("{:.2}", ratio(hit, first_hit)),
            &millis(read),
            &format!("{:.2}", ratio(read, noop)),
            &format!("{:.2}", ratio(read, first_read)),
        ]);
        points.push(Point {
            number: stored,
            bar: read,
            line: hit,
        });
    }
    let chart = chart::render(
        "A page of 100 tasks (p50): cached (line), from DynamoDB (bars)",
        "stored tasks",
        &points,
    );
    let chart = chart.map_or(String::new(), |chart| format!("\n{chart}"));
    Ok(format!(
        "\n### A page of the list\n\n{}{chart}",
        table.render()
    ))
}

fn task(number: usize) -> Task {
    let mut task = new_task(&format!("task-{number}"));
    task.status = TaskStatus::ALL[number % TaskStatus::ALL.len()];
    task.run = moment(i64::try_from(number).unwrap_or(i64::MAX));
    task.updated_at = task.run;
    task
}
