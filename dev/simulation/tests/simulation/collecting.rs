//! Collectors that are invoked as AWS does: on a schedule and by subscriptions, and killed now and then.

use std::time::Duration;

use progress_collector::{Collector, Push, Sweep, Trigger};
use tokio::time::{Instant, timeout};

use crate::logs::Stream;
use crate::trace;
use crate::world::World;

/// When the last sweep of a run may begin.
const LAST_SWEEP: Duration = Duration::from_secs(50);

/// An instance of the collector.
pub(crate) struct Instance {
    pub(crate) name: String,
    pub(crate) collector: Collector,
    /// How far its clock is off.
    pub(crate) skew_ms: i64,
}

impl Instance {
    /// Runs one invocation, which may be killed at any moment.
    pub(crate) async fn invoke(
        &self,
        world: &World,
        name: &str,
        trigger: &dyn Trigger,
        deadline: Option<Duration>,
    ) {
        let World { dice, weather, .. } = world;
        let now = world.clock(self.skew_ms)();
        trace::step(world.elapsed(), &self.name, || format!("{name} begins"));
        let deadline = deadline.map(|left| Instant::now() + left);
        let invocation = self.collector.handle(trigger, now, deadline);
        let is_killed = dice.chance(weather.kills);
        let lives = if is_killed {
            dice.millis(1..3_000)
        } else {
            Duration::from_secs(900)
        };
        let outcome = timeout(lives, invocation).await;
        trace::step(world.elapsed(), &self.name, || match &outcome {
            Ok(Ok(summary)) => format!(
                "{name} has changed {} tasks",
                summary.totals().tasks_changed
            ),
            Ok(Err(error)) => format!("{name} has failed: {error}"),
            Err(_) => format!("{name} is killed"),
        });
        match outcome {
            Ok(Ok(_)) => {}
            Ok(Err(_)) => assert!(weather.store_fails > 0, "it failed without a fault"),
            Err(_) => assert!(is_killed, "it did not end"),
        }
    }

    /// Sweeps now and then.
    pub(crate) async fn sweep(&self, world: &World) {
        let dice = &world.dice;
        loop {
            dice.pause(world.weather.between_sweeps.clone()).await;
            if world.elapsed() > LAST_SWEEP {
                return;
            }
            let has_deadline = dice.chance(40);
            let deadline = has_deadline.then(|| dice.millis(3_000..9_000));
            self.invoke(world, "sweep", &Sweep, deadline).await;
        }
    }
}

/// Lets the lines of a stream be read when they have arrived.
pub(crate) async fn arrive(world: &World, stream: &Stream) {
    for (arrives, line) in &stream.lines {
        sleep_until(world, *arrives).await;
        world.logs.put(stream.log_group, [line.clone()]);
    }
}

/// Pushes the lines of a stream when they have arrived, most of them, and some twice.
pub(crate) async fn push(world: &World, stream: &Stream, instances: &[Instance]) {
    let dice = &world.dice;
    let mut left = stream.lines.iter().peekable();
    while let Some((arrives, first)) = left.next() {
        let mut events = vec![first.clone()];
        let portion = *arrives + dice.millis(0..2_500);
        while let Some((_, event)) = left.next_if(|(arrives, _)| *arrives <= portion) {
            events.push(event.clone());
        }
        sleep_until(world, portion).await;
        for percent in [world.weather.pushed, world.weather.pushed / 5] {
            if dice.chance(percent) {
                let push = Push {
                    log_group: stream.log_group.to_owned(),
                    log_events: events.clone(),
                };
                let at = events
                    .iter()
                    .map(|event| event.timestamp.as_millis() % 1_000_000);
                let name = format!("push {:?}", at.collect::<Vec<_>>());
                let instance = dice.pick(instances);
                instance.invoke(world, &name, &push, None).await;
            }
        }
    }
}

async fn sleep_until(world: &World, moment: Duration) {
    tokio::time::sleep(moment.saturating_sub(world.elapsed())).await;
}
