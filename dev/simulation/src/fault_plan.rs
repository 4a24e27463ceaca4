//! The faults of a run: how often calls are slow or fail, and how often instances are killed.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use testkit::faults::{Call, Disturbance, ErrorKind, Fault, Role};

use crate::rng::Rng;

/// The time budget of a cache call, as for Redis.
const CACHE_BUDGET: Duration = Duration::from_millis(50);
const FAILURE: Fault = Fault::Error(ErrorKind::Unavailable);

/// The rates of all faults, in percent. Each run draws its own, so that some runs have one kind of
/// fault only.
#[derive(Debug)]
pub(crate) struct FaultPlan {
    /// Store calls that fail.
    pub(crate) store_fails: u64,
    /// Cache calls that fail. If there are any, the cache may also be down or lose everything.
    pub(crate) cache_fails: u64,
    /// Requests for log events that fail.
    pub(crate) logs_fail: u64,
    /// Invocations that are killed.
    pub(crate) kills: u64,
    /// Groups of lines that a subscription pushes.
    pub(crate) pushed: u64,
    /// The pause between two sweeps of a collector, in milliseconds.
    pub(crate) between_sweeps: Range<u64>,
    /// Calls that take long.
    slow: u64,
    /// Whether every cache call fails for now.
    cache_is_down: AtomicBool,
}

impl FaultPlan {
    pub(crate) fn new(rng: &Rng) -> Self {
        Self {
            store_fails: *rng.pick(&[0, 0, 2, 10]),
            cache_fails: *rng.pick(&[0, 0, 3, 25]),
            logs_fail: *rng.pick(&[0, 0, 5, 30]),
            kills: *rng.pick(&[0, 5, 30]),
            pushed: *rng.pick(&[0, 50, 95]),
            between_sweeps: rng.pick(&[1_000..12_000, 10_000..25_000]).clone(),
            slow: *rng.pick(&[0, 3, 20]),
            cache_is_down: AtomicBool::new(false),
        }
    }

    /// Whether the cache never fails. Then no client may see a task go back.
    pub(crate) fn spares_cache(&self) -> bool {
        self.cache_fails == 0
    }

    /// From now on every cache call fails, or no longer does.
    pub(crate) fn set_cache_down(&self, is_down: bool) {
        self.cache_is_down.store(is_down, Ordering::Relaxed);
    }

    /// Decides about each call of a part.
    pub(crate) fn predicate(
        self: &Arc<Self>,
        rng: &Rng,
    ) -> impl FnMut(&Call<'_>) -> Disturbance + use<> {
        let (plan, rng) = (Arc::clone(self), rng.clone());
        move |call| match call.role {
            Role::TaskCache => plan.of_cache(&rng),
            Role::LogSource => plan.draw(&rng, 50, 2_000, plan.logs_fail),
            _ => plan.draw(&rng, 20, 1_500, plan.store_fails),
        }
    }

    /// No cache call takes longer than its budget: a slower one has failed by then.
    fn of_cache(&self, rng: &Rng) -> Disturbance {
        let slow_ms = if self.spares_cache() { 24 } else { 100 };
        let mut disturbance = within_budget(self.draw(rng, 5, slow_ms, self.cache_fails));
        if self.cache_is_down.load(Ordering::Relaxed) {
            disturbance.fault = Some(FAILURE);
        }
        disturbance
    }

    fn draw(&self, rng: &Rng, usual_ms: u64, slow_ms: u64, fails: u64) -> Disturbance {
        let delay = || match rng.number(0..100) {
            chance if chance < self.slow => rng.millis(usual_ms..slow_ms),
            chance if chance < 60 => Duration::ZERO,
            _ => rng.millis(1..usual_ms),
        };
        Disturbance {
            before: delay(),
            fault: (fails > 0 && rng.chance(fails))
                .then(|| *rng.pick(&[FAILURE, Fault::AnswerLost])),
            after: delay(),
        }
    }
}

/// Cuts a cache call off at the end of its budget.
fn within_budget(disturbance: Disturbance) -> Disturbance {
    let Disturbance { before, after, .. } = disturbance;
    if before >= CACHE_BUDGET {
        return Disturbance {
            before: CACHE_BUDGET,
            fault: Some(FAILURE),
            after: Duration::ZERO,
        };
    }
    if before + after >= CACHE_BUDGET {
        return Disturbance {
            before,
            fault: disturbance.fault.or(Some(Fault::AnswerLost)),
            after: CACHE_BUDGET - before,
        };
    }
    disturbance
}
