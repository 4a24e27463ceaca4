//! Warm invocations.

use std::net::{Ipv4Addr, TcpListener};

use lab::events::{get, post_task};
use lab::measure::{MakeEvent, Subject, Warm, warm};
use lab::statistics::{millis, ratio};
use lab::table::Table;
use shared::error::Source;
use testkit::store::conformance::new_task;

use super::bench::Bench;

pub(super) fn measure(bench: &Bench) -> Result<String, Source> {
    let health = |_| get("/health");
    let task = |_| get("/api/tasks/cached");
    let missed = |number| get(&format!("/api/tasks/missed-{number}"));
    let post = |number| post_task(&format!("warm-{number}"));
    let invocations = bench.arguments.invocations;
    let tasks = (0..invocations + 100).map(|number| new_task(&format!("missed-{number}")));
    bench.services.dynamodb.fill(tasks)?;
    // The task may exist already.
    bench.api.start()?.invoke(&post_task("cached"))?;

    let api = &bench.api;
    let no_cache = api.with("REDIS_ENDPOINT", "");
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    let cache_down = api.with("REDIS_ENDPOINT", &closed.to_string());
    let subjects: [(&str, &Subject, MakeEvent<'_>); 7] = [
        ("no-op", &bench.noop, &health),
        ("`GET /health`", api, &health),
        ("a cached task", api, &task),
        ("a task that is not cached", api, &missed),
        ("a task, no cache configured", &no_cache, &task),
        ("a task, Redis down", &cache_down, &task),
        ("`POST /api/tasks`", api, &post),
    ];
    let measured = warm(
        &subjects.map(|(_, subject, event)| (subject, event)),
        invocations,
    )?;
    let mut table = Table::new(&["ms of an invocation", "p50", "p90", "p99", "× no-op", "CPU"]);
    for ((name, ..), warm) in subjects.iter().zip(&measured) {
        row(&mut table, name, warm, &measured[0]);
    }
    Ok(format!("\n### Warm\n\n{}", table.render()))
}

pub(super) fn row(table: &mut Table, name: &str, warm: &Warm, noop: &Warm) {
    table.row(&[
        name,
        &millis(warm.took.median()),
        &millis(warm.took.percentile(90)),
        &millis(warm.took.percentile(99)),
        &format!("{:.2}", ratio(warm.took.median(), noop.took.median())),
        &millis(warm.cpu),
    ]);
}
