//! One run: everything at once, then quiet, then the reckoning.

use std::time::Duration;

use axum::Router;
use axum::http::{Method, StatusCode};
use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use progress_collector::Sweep;
use serde_json::json;
use shared::model::TaskId;

use crate::client::Client;
use crate::collecting::{Instance, arrive, push};
use crate::dice::Dice;
use crate::end;
use crate::history::History;
use crate::logs::{Stream, streams};
use crate::request::send;
use crate::world::World;
use crate::writer::Writer;

/// How far the clocks of instances are off, at most, to either side.
const CLOCK_SKEW_MS: u64 = 2_000;

/// Runs a schedule of `seed` and checks all that must be true of it.
///
/// # Panics
///
/// If something is not.
pub(crate) async fn run(seed: u64) {
    fastrand::seed(seed); // the jitter of retries
    let dice = Dice::new(seed);
    let world = World::new(dice.clone());
    let streams = streams(&dice);
    let history = History::default();
    begin(&world.api(0), &history).await;

    let skew_ms = || {
        let skew_ms = i64::try_from(dice.number(0..2 * CLOCK_SKEW_MS)).unwrap();
        skew_ms - i64::try_from(CLOCK_SKEW_MS).unwrap()
    };
    let apis: Vec<Router> = (0..2).map(|_| world.api(skew_ms())).collect();
    let instance = |number| Instance {
        name: format!("collector {number}"),
        collector: world.collector(),
        skew_ms: skew_ms(),
    };
    let instances: Vec<Instance> = (0..2).map(instance).collect();
    let logged: Vec<TaskId> = streams
        .iter()
        .map(|stream| stream.task_id.parse().unwrap())
        .collect();
    for task_id in &logged {
        history.expect_task(task_id);
    }

    world.disturb();
    let mut actors: Vec<LocalBoxFuture<'_, ()>> = vec![spoil_cache(&world).boxed_local()];
    actors.extend(
        streams
            .iter()
            .map(|stream| arrive(&world, stream).boxed_local()),
    );
    let pushes = streams.iter();
    actors.extend(pushes.map(|stream| push(&world, stream, &instances).boxed_local()));
    actors.extend(
        instances
            .iter()
            .map(|instance| instance.sweep(&world).boxed_local()),
    );
    for number in 1..3 {
        let writer = Writer {
            number,
            world: &world,
            apis: &apis,
            history: &history,
            logged: &logged,
        };
        actors.push(writer.run().boxed_local());
    }
    for number in 0..3 {
        let client = Client::new(format!("client {number}"), &world, &apis, &history);
        actors.push(client.run().boxed_local());
    }
    // Unlike a join of all, it polls those alone that go on.
    let mut actors: FuturesUnordered<_> = actors.into_iter().collect();
    while actors.next().await.is_some() {}

    world.calm_down();
    // By whatever clock, all that was printed is past then.
    tokio::time::sleep(Duration::from_secs(20)).await;
    sweep(&world).await;
    end::check(&world, &history, &apis, &undisturbed(&streams).await).await;
}

/// What is there before anything happens: two projects, and a task that a log reports to.
async fn begin(api: &Router, history: &History) {
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
        let answer = send(api, Method::POST, path, &[], Some(&body)).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    }
    history.expect_task(&"nightly".parse().unwrap());
}

async fn sweep(world: &World) {
    let sweep = world.collector();
    let sweep = sweep.handle(&Sweep, world.clock(0)(), None);
    let summary = sweep.await.unwrap();
    assert!(summary.totals().complete, "{summary:?}");
}

/// The same logs, read at once by a collector that is left alone.
async fn undisturbed(streams: &[Stream]) -> World {
    let world = World::new(Dice::new(0));
    begin(&world.api(0), &History::default()).await;
    for stream in streams {
        let events = stream.lines.iter().map(|(_, event)| event.clone());
        world.logs.put(stream.log_group, events);
    }
    tokio::time::sleep(Duration::from_secs(300)).await;
    sweep(&world).await;
    world
}

/// The cache is down for a while, or loses all that it holds, where it does not do well.
async fn spoil_cache(world: &World) {
    let World { dice, weather, .. } = world;
    if weather.spares_cache() {
        return;
    }
    for _ in 0..3 {
        dice.pause(1_000..20_000).await;
        if dice.chance(50) {
            weather.set_cache_down(true);
            dice.pause(500..8_000).await;
            weather.set_cache_down(false);
        } else {
            world.cache().lose_all();
        }
    }
}
