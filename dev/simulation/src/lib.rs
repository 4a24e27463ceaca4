//! Runs of the whole system, each determined by a seed.
//!
//! A run has pushes, sweeps, callers that write and clients that read, all at once, with faults,
//! killed instances and clocks that disagree. All parts are in memory, time is paused, and one
//! thread does everything, so that a seed always gives the same run.
//!
//! `Harness` builds the system from product parts and test doubles.
//! `run::run` starts the actors (`collecting`, `writer`, `client`, `page`), waits for them, ends
//! all faults, and checks the `end_state`. What clients may be shown is judged by
//! `testkit::oracle`.
#![allow(clippy::unwrap_used, reason = "a check fails by panicking")]

mod client;
mod collecting;
mod end_state;
mod fault_plan;
mod harness;
mod logs;
mod page;
mod request;
mod rng;
mod run;
mod trace;
mod watch;
mod writer;

use std::collections::BTreeSet;
use std::panic::catch_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Runs a seed to its end, without waiting for the time that passes in it.
fn run_seed(seed: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.unwrap().block_on(run::run(seed));
}

/// The steps of a seed, and whether it passes.
pub fn steps_of(seed: u64) -> (Vec<String>, bool) {
    trace::record(true);
    let passes = catch_unwind(|| run_seed(seed)).is_ok();
    trace::record(false);
    (trace::take(), passes)
}

/// Runs all seeds below `seeds` and returns those that fail.
pub fn failing_seeds(seeds: u64) -> BTreeSet<u64> {
    let next = AtomicU64::new(0);
    let failing = Mutex::new(BTreeSet::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        return;
                    }
                    if catch_unwind(|| run_seed(seed)).is_err() {
                        failing.lock().unwrap().insert(seed);
                    }
                }
            });
        }
    });
    failing.into_inner().unwrap()
}
