//! What goes wrong in a run: how often calls are slow, fail, or are cut off.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use testkit::faults::{Disturbance, Fault};

use crate::dice::Dice;

/// How long a call of the cache may take: that of Redis.
const CACHE_BUDGET: Duration = Duration::from_millis(50);

/// How bad things are. Drawn for each run, so that there are runs with one kind of fault alone.
#[derive(Debug)]
pub(crate) struct Weather {
    /// Of a hundred calls of the store, so many fail.
    pub(crate) store_fails: u64,
    /// Of a hundred calls of the cache, so many fail; it may also be down or lose all.
    pub(crate) cache_fails: u64,
    /// Of a hundred requests for log events, so many fail.
    pub(crate) logs_fail: u64,
    /// Of a hundred invocations, so many are killed.
    pub(crate) kills: u64,
    /// Of a hundred portions of lines, so many are pushed.
    pub(crate) pushed: u64,
    /// How long it is from one sweep of a collector to its next, in milliseconds.
    pub(crate) between_sweeps: Range<u64>,
    /// Of a hundred calls, so many take long.
    slow: u64,
    /// Whether no call of the cache succeeds for now.
    cache_is_down: AtomicBool,
}

impl Weather {
    pub(crate) fn new(dice: &Dice) -> Self {
        Self {
            store_fails: *dice.pick(&[0, 0, 2, 10]),
            cache_fails: *dice.pick(&[0, 0, 3, 25]),
            logs_fail: *dice.pick(&[0, 0, 5, 30]),
            kills: *dice.pick(&[0, 5, 30]),
            pushed: *dice.pick(&[0, 50, 95]),
            between_sweeps: dice.pick(&[1_000..12_000, 10_000..25_000]).clone(),
            slow: *dice.pick(&[0, 3, 20]),
            cache_is_down: AtomicBool::new(false),
        }
    }

    /// Whether the cache never fails: then nobody's view may go backward, whatever else happens.
    pub(crate) fn spares_cache(&self) -> bool {
        self.cache_fails == 0
    }

    /// From now on nothing goes wrong with the cache as a whole.
    pub(crate) fn set_cache_down(&self, is_down: bool) {
        self.cache_is_down.store(is_down, Ordering::Relaxed);
    }

    /// What happens to calls of the store.
    pub(crate) fn of_store(self: &Arc<Self>, dice: &Dice) -> impl FnMut() -> Disturbance + use<> {
        self.disturbances(dice, 20, 1_500, self.store_fails)
    }

    /// What happens to calls of the cache. None takes longer than its budget: one that would has failed by then.
    pub(crate) fn of_cache(self: &Arc<Self>, dice: &Dice) -> impl FnMut() -> Disturbance + use<> {
        let weather = Arc::clone(self);
        let slow_ms = if self.spares_cache() { 24 } else { 100 };
        let mut disturb = self.disturbances(dice, 5, slow_ms, self.cache_fails);
        move || {
            let mut disturbance = in_time(disturb());
            if weather.cache_is_down.load(Ordering::Relaxed) {
                disturbance.fault = Some(Fault::Unmade);
            }
            disturbance
        }
    }

    /// What happens to requests for log events.
    pub(crate) fn of_logs(self: &Arc<Self>, dice: &Dice) -> impl FnMut() -> Disturbance + use<> {
        self.disturbances(dice, 50, 2_000, self.logs_fail)
    }

    fn disturbances(
        &self,
        dice: &Dice,
        usual_ms: u64,
        slow_ms: u64,
        fails: u64,
    ) -> impl FnMut() -> Disturbance + use<> {
        let (dice, slow) = (dice.clone(), self.slow);
        let takes = move |dice: &Dice| -> Duration {
            match dice.number(0..100) {
                chance if chance < slow => dice.millis(usual_ms..slow_ms),
                chance if chance < 60 => Duration::ZERO,
                _ => dice.millis(1..usual_ms),
            }
        };
        move || Disturbance {
            before: takes(&dice),
            fault: (fails > 0 && dice.chance(fails))
                .then(|| *dice.pick(&[Fault::Unmade, Fault::AnswerLost])),
            after: takes(&dice),
        }
    }
}

/// What happens to a call that is given up when it has taken as long as one may.
fn in_time(disturbance: Disturbance) -> Disturbance {
    let Disturbance { before, after, .. } = disturbance;
    if before >= CACHE_BUDGET {
        return Disturbance {
            before: CACHE_BUDGET,
            fault: Some(Fault::Unmade),
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
