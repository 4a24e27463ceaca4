//! Cold starts.

use lab::events::{get, post_task};
use lab::measure::{Cold, CpuLimit, cold};
use lab::statistics::{millis, ratio};
use lab::table::Table;
use shared::error::Source;

use super::bench::Bench;

pub(super) fn measure(bench: &Bench) -> Result<String, Source> {
    let health = |_| get("/health");
    let task = |_| get("/api/tasks/cached");
    let post = |round| post_task(&format!("cold-{round}"));
    let slow_post = |round| post_task(&format!("slow-{round}"));

    // Create a task and put it into the cache.
    bench.api.start()?.invoke(&post_task("cached"))?;
    bench.api.start()?.invoke(&task(0))?;

    let api = &bench.api;
    let authority = bench.services.authority_file.to_string_lossy();
    let over_tls = api
        .with(
            "AWS_ENDPOINT_URL_DYNAMODB",
            &bench.services.tls_endpoint_url,
        )
        .with("SSL_CERT_FILE", &authority);
    let starts = bench.arguments.starts;

    let noop = &bench.noop;
    let measured = cold(
        &[
            (noop, &health),
            (api, &health),
            (api, &task),
            (&over_tls, &post),
        ],
        None,
        starts,
    )?;
    let mut times = Table::new(&[
        "ms from the start of the process (median)",
        "to `/next`",
        "to the first answer",
        "× no-op",
        "peak MiB",
    ]);
    let names = [
        "no-op",
        "`GET /health`",
        "a cached task",
        "`POST /api/tasks`, DynamoDB over TLS",
    ];
    for (name, cold) in names.iter().zip(&measured) {
        row(&mut times, name, cold, &measured[0]);
    }
    let limited = match CpuLimit::of_256_mb() {
        Ok(limit) => {
            let measured = cold(
                &[(noop, &health), (&over_tls, &slow_post)],
                Some(&limit),
                starts.div_ceil(2),
            )?;
            row(
                &mut times,
                "no-op, 0.145 of a core",
                &measured[0],
                &measured[0],
            );
            row(
                &mut times,
                "`POST` over TLS, 0.145 of a core",
                &measured[1],
                &measured[0],
            );
            String::new()
        }
        Err(error) => {
            format!("\nNot measured with the processor share of 256 MB ({error}).\n")
        }
    };
    Ok(format!("\n### Cold\n\n{}{limited}", times.render()))
}

fn row(table: &mut Table, name: &str, cold: &Cold, noop: &Cold) {
    let answered = cold.answered.median();
    table.row(&[
        name,
        &millis(cold.ready.median()),
        &millis(answered),
        &format!("{:.2}", ratio(answered, noop.answered.median())),
        &format!("{:.1}", cold.peak_memory as f64 / 1024.0 / 1024.0),
    ]);
}
