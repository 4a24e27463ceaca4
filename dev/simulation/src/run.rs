//! One run: all actors at once, then a quiet time, then the checks.

use std::time::Duration;

use axum::Router;
use axum::http::{Method, StatusCode};
use futures::FutureExt as _;
use futures::future::{LocalBoxFuture, OptionFuture};
use futures::stream::{FuturesUnordered, StreamExt as _};
use progress_collector::Sweep;
use serde_json::json;
use shared::model::TaskId;
use testkit::oracle::Oracle;

use crate::client::Client;
use crate::collecting::{Instance, arrive, push};
use crate::end_state;
use crate::harness::Harness;
use crate::logs::{Stream, streams};
use crate::page::Page;
use crate::request::send;
use crate::rng::Rng;
use crate::writer::Writer;

/// The largest error of an instance's clock, to either side.
const CLOCK_SKEW_MS: u64 = 2_000;

/// Runs the schedule of `seed`.
///
/// # Panics
///
/// If a check fails.
pub(crate) async fn run(seed: u64) {
    fastrand::seed(seed); // the jitter of retries
    let rng = Rng::new(seed);
    let harness = Harness::new(rng.clone());
    let streams = streams(&rng);
    let oracle = Oracle::default();
    create_first(&harness.api(0), &oracle).await;

    let skew_ms = || {
        let skew_ms = i64::try_from(rng.number(0..2 * CLOCK_SKEW_MS)).unwrap();
        skew_ms - i64::try_from(CLOCK_SKEW_MS).unwrap()
    };
    let apis: Vec<Router> = (0..2).map(|_| harness.api(skew_ms())).collect();
    let instance = |number| Instance {
        name: format!("collector {number}"),
        collector: harness.collector(),
        skew_ms: skew_ms(),
    };
    let instances: Vec<Instance> = (0..2).map(instance).collect();
    let logged: Vec<TaskId> = streams
        .iter()
        .map(|stream| stream.task_id.parse().unwrap())
        .collect();
    for task_id in &logged {
        oracle.expect_task(task_id);
    }

    // The other runs stay as they are: some tests know what happens in one.
    let has_page = seed.is_multiple_of(4);
    let page =
        has_page.then(|| Page::new("page".to_owned(), &harness, &apis, Rng::new(!seed)).run());
    harness.begin_faults();
    let mut actors: Vec<LocalBoxFuture<'_, ()>> = vec![disturb_cache(&harness).boxed_local()];
    actors.extend(
        streams
            .iter()
            .map(|stream| arrive(&harness, stream).boxed_local()),
    );
    let pushes = streams.iter();
    actors.extend(pushes.map(|stream| push(&harness, stream, &instances).boxed_local()));
    actors.extend(
        instances
            .iter()
            .map(|instance| instance.sweep(&harness).boxed_local()),
    );
    for number in 1..3 {
        let writer = Writer {
            number,
            harness: &harness,
            apis: &apis,
            oracle: &oracle,
            logged: &logged,
        };
        actors.push(writer.run().boxed_local());
    }
    for number in 0..3 {
        let client = Client::new(format!("client {number}"), &harness, &apis, &oracle);
        actors.push(client.run().boxed_local());
    }
    // Unlike `join_all`, this polls only the actors that can go on.
    let mut actors: FuturesUnordered<_> = actors.into_iter().collect();
    let all_others = async { while actors.next().await.is_some() {} };
    let (page, ()) = tokio::join!(OptionFuture::from(page), all_others);

    harness.end_faults();
    // After this, every printed line is in the past by every clock.
    tokio::time::sleep(Duration::from_secs(20)).await;
    sweep(&harness).await;
    let undisturbed = undisturbed(&streams).await;
    end_state::check(&harness, &oracle, &apis[0], &undisturbed).await;
    if let Some(page) = page {
        page.check_end().await;
    }
}

/// Creates what exists before a run: two projects, and a task to which a log reports.
async fn create_first(api: &Router, oracle: &Oracle) {
    let task =
        json!({"task_id": "nightly", "task_name": "Nightly", "task_type": "agent_execution"});
    let bodies = [
        (
            "/api/projects",
            json!({"project_id": "shop", "project_name": "Shop", "match": ["Shop"]}),
        ),
        (
            "/api/projects",
            json!({"project_id": "agents", "project_name": "Agents"}),
        ),
        ("/api/tasks", task),
    ];
    for (path, body) in bodies {
        let response = send(api, Method::POST, path, &[], Some(&body)).await;
        assert_eq!(response.status, StatusCode::CREATED, "{response:?}");
    }
    oracle.expect_task(&"nightly".parse().unwrap());
}

async fn sweep(harness: &Harness) {
    let sweep = harness.collector();
    let sweep = sweep.handle(&Sweep, harness.clock(0)(), None);
    let summary = sweep.await.unwrap();
    assert!(summary.totals().complete, "{summary:?}");
}

/// Another system that has read the same logs once, without faults.
async fn undisturbed(streams: &[Stream]) -> Harness {
    let harness = Harness::new(Rng::new(0));
    create_first(&harness.api(0), &Oracle::default()).await;
    for stream in streams {
        let events = stream.lines.iter().map(|(_, event)| event.clone());
        harness.logs.put(stream.log_group, events);
    }
    tokio::time::sleep(Duration::from_secs(300)).await;
    sweep(&harness).await;
    harness
}

/// Takes the cache down for a while, or empties it, unless the fault plan spares it.
async fn disturb_cache(harness: &Harness) {
    let Harness {
        rng, fault_plan, ..
    } = harness;
    if fault_plan.spares_cache() {
        return;
    }
    for _ in 0..3 {
        rng.pause(1_000..20_000).await;
        if rng.chance(50) {
            fault_plan.set_cache_down(true);
            rng.pause(500..8_000).await;
            fault_plan.set_cache_down(false);
        } else {
            harness.empty_cache();
        }
    }
}
