//! Collectors, invoked as AWS does: on a schedule and by subscriptions. Some invocations are
//! killed.

use std::time::Duration;

use progress_collector::{Collector, Push, Sweep, Trigger};
use tokio::time::{Instant, timeout};

use crate::harness::Harness;
use crate::logs::Stream;
use crate::trace;

/// The latest start of a sweep.
const LAST_SWEEP: Duration = Duration::from_secs(50);

/// An instance of the collector.
pub(crate) struct Instance {
    pub(crate) name: String,
    pub(crate) collector: Collector,
    /// The error of its clock.
    pub(crate) skew_ms: i64,
}

impl Instance {
    /// Runs one invocation, which may be killed at any moment.
    pub(crate) async fn invoke(
        &self,
        harness: &Harness,
        name: &str,
        trigger: &dyn Trigger,
        deadline: Option<Duration>,
    ) {
        let Harness {
            rng, fault_plan, ..
        } = harness;
        let now = harness.clock(self.skew_ms)();
        trace::step(harness.elapsed(), &self.name, || format!("{name} begins"));
        let deadline = deadline.map(|left| Instant::now() + left);
        let invocation = self.collector.handle(trigger, now, deadline);
        let is_killed = rng.chance(fault_plan.kills);
        let lifetime = if is_killed {
            rng.millis(1..3_000)
        } else {
            Duration::from_secs(900)
        };
        let outcome = timeout(lifetime, invocation).await;
        trace::step(harness.elapsed(), &self.name, || match &outcome {
            Ok(Ok(summary)) => format!(
                "{name} has changed {} tasks",
                summary.totals().tasks_changed
            ),
            Ok(Err(error)) => format!("{name} has failed: {error}"),
            Err(_) => format!("{name} is killed"),
        });
        match outcome {
            Ok(Ok(_)) => {}
            Ok(Err(_)) => assert!(
                fault_plan.store_fails > 0,
                "an invocation failed without a fault"
            ),
            Err(_) => assert!(is_killed, "an invocation did not end"),
        }
    }

    /// Sweeps at random intervals.
    pub(crate) async fn sweep(&self, harness: &Harness) {
        let rng = &harness.rng;
        loop {
            rng.pause(harness.fault_plan.between_sweeps.clone()).await;
            if harness.elapsed() > LAST_SWEEP {
                return;
            }
            let has_deadline = rng.chance(40);
            let deadline = has_deadline.then(|| rng.millis(3_000..9_000));
            self.invoke(harness, "sweep", &Sweep, deadline).await;
        }
    }
}

/// Puts each line of a stream into its log group when it arrives.
pub(crate) async fn arrive(harness: &Harness, stream: &Stream) {
    for (arrives, line) in &stream.lines {
        sleep_until(harness, *arrives).await;
        harness.logs.put(stream.log_group, [line.clone()]);
    }
}

/// Pushes the lines of a stream when they have arrived: most of them, and some twice.
pub(crate) async fn push(harness: &Harness, stream: &Stream, instances: &[Instance]) {
    let rng = &harness.rng;
    let mut left = stream.lines.iter().peekable();
    while let Some((arrives, first)) = left.next() {
        let mut events = vec![first.clone()];
        let pushed_at = *arrives + rng.millis(0..2_500);
        while let Some((_, event)) = left.next_if(|(arrives, _)| *arrives <= pushed_at) {
            events.push(event.clone());
        }
        sleep_until(harness, pushed_at).await;
        for percent in [harness.fault_plan.pushed, harness.fault_plan.pushed / 5] {
            if rng.chance(percent) {
                let push = Push::new(stream.log_group, events.clone());
                let times = events
                    .iter()
                    .map(|event| event.timestamp.as_millis() % 1_000_000);
                let name = format!("push {:?}", times.collect::<Vec<_>>());
                let instance = rng.pick(instances);
                instance.invoke(harness, &name, &push, None).await;
            }
        }
    }
}

async fn sleep_until(harness: &Harness, moment: Duration) {
    tokio::time::sleep(moment.saturating_sub(harness.elapsed())).await;
}
