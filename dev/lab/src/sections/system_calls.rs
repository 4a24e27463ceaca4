//! System calls of one invocation, counted by strace.

use std::fs;
use std::io;

use lab::events::{get, post_task};
use lab::function::Function;
use lab::measure::Subject;
use lab::table::Table;
use shared::error::Source;

use super::bench::Bench;

const INVOCATIONS: usize = 100;

pub(super) fn measure(bench: &Bench) -> Result<String, Source> {
    bench.api.start()?.invoke(&post_task("cached"))?;
    let mut table = Table::new(&["an invocation", "system calls"]);
    let health = get("/health");
    let task = get("/api/tasks/cached");
    for (name, subject, event) in [
        ("no-op", &bench.noop, &health),
        ("`GET /health`", &bench.api, &health),
        ("a cached task", &bench.api, &task),
    ] {
        match count(subject, event) {
            Ok(calls) => table.row(&[name, &format!("{calls:.1}")]),
            Err(error) => table.row(&[name, &format!("not measured: {error}")]),
        }
    }
    Ok(format!("\n### System calls\n\n{}", table.render()))
}

/// The calls of one invocation, without those of the start.
fn count(subject: &Subject, event: &[u8]) -> io::Result<f64> {
    let folder = tempfile::tempdir()?;
    let trace = folder.path().join("trace");
    let wrapper = ["/usr/bin/env", "-S", "strace", "-f", "-qq", "-o"].map(str::to_owned);
    let mut wrapper = wrapper.to_vec();
    wrapper.push(trace.to_string_lossy().into_owned());
    let mut function = Function::start(&subject.program, &subject.environment, &wrapper)?;
    let mut invoke = || -> io::Result<usize> {
        for _ in 0..INVOCATIONS {
            function.invoke(event)?;
        }
        let text = fs::read_to_string(&trace)?;
        // A call that another thread interrupts takes two lines.
        Ok(text
            .lines()
            .filter(|line| !line.contains("resumed>"))
            .count())
    };
    let warm = invoke()?;
    Ok((invoke()? - warm) as f64 / INVOCATIONS as f64)
}
