//! Runs seeds of the simulation.
//!
//! `SIMULATION_SEEDS=10000` runs more seeds. `SIMULATION_SEED=7` runs one and prints its steps.

use std::collections::BTreeSet;

use simulation::{failing_seeds, steps_of};

/// The number of seeds, unless `SIMULATION_SEEDS` is set.
const SEEDS: u64 = 1_000;

fn number_in(variable: &str) -> Option<u64> {
    let number = std::env::var(variable).ok()?;
    Some(number.parse().expect("the variable must be a number"))
}

#[test]
fn every_seed_passes() {
    let seeds = number_in("SIMULATION_SEEDS").unwrap_or(SEEDS);
    let only = number_in("SIMULATION_SEED");
    let failing = match only {
        Some(_) => BTreeSet::new(),
        None => failing_seeds(seeds),
    };
    if let Some(seed) = only.or(failing.first().copied()) {
        let (steps, passes) = steps_of(seed);
        println!("{}", steps.join("\n"));
        assert!(passes, "SIMULATION_SEED={seed} fails, of {failing:?}");
    }
    assert!(failing.is_empty(), "these seeds fail: {failing:?}");
}

/// Late lines merge the newest run, which a caller has changed, into the one before.
#[test]
fn what_a_caller_set_on_a_merged_run_stays_on_the_newest() {
    let (steps, passes) = steps_of(1_099);
    assert!(passes, "{}", steps.join("\n"));
}

#[test]
fn a_seed_is_always_the_same_run() {
    for seed in 0..10 {
        let (steps, _) = steps_of(seed);
        assert!(steps.len() > 50, "nothing happens in seed {seed}");
        assert_eq!(steps, steps_of(seed).0);
    }
}
