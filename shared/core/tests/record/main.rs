//! Property tests of the record: whatever happens to a task, in whatever portions its lines come, and
//! however many writers there are.
//!
//! `PROPTEST_CASES=100000 cargo test -p progress-core --test record` runs many more cases.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod rules;
#[path = "../fold/runs.rs"]
mod runs;
mod store;
mod walk;

use std::time::Duration;

use progress_core::fold::properties::late_delivery;
use progress_core::fold::{FactLog, KeyedFact, LineKey};
use progress_core::log_parser::LogFormat;
use progress_core::model::{Revision, Task, Timestamp};
use progress_core::record::{Outcome, TaskOrigin};
use proptest::prelude::*;

use self::runs::{Line, any_log, fact_of, sensible_log};
use self::store::Store;

/// The number of cases of each property, unless `PROPTEST_CASES` is set.
const CASES: u32 = 1_000;

pub(crate) fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES");
    let cases = cases.ok().and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: cases.unwrap_or(CASES),
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    }
}

pub(crate) fn origin() -> TaskOrigin {
    TaskOrigin {
        format: LogFormat::CDK,
        log_group: "/cdk".to_owned(),
        log_stream: "main".to_owned(),
    }
}

/// Saves lines, in several writes if there are many runs. Returns the number of writes.
pub(crate) fn save(store: &mut Store, facts: Vec<KeyedFact>, now: Timestamp) -> usize {
    let mut rest = facts;
    let mut writes = 0;
    while let Outcome::Changed { change, rest: more } = store.read().add_lines(rest, &origin(), now)
    {
        store.write(&change).expect("nobody else writes");
        rest = more;
        writes += 1;
        assert!(writes < 1_000, "an endless loop");
    }
    writes
}

/// The runs without what depends on the portions: the revision, and the name.
fn contents(store: &Store) -> Vec<Task> {
    let runs = store.live().into_iter();
    let content = |task: &Task| Task {
        revision: Revision::default(),
        run: Timestamp::default(),
        ..task.clone()
    };
    runs.map(content).collect()
}

/// Delivers `facts` in portions. Lines that belong to no run yet come again with the next portion.
fn deliver(facts: &[KeyedFact], lateness: usize, seed: u64, now: Timestamp) -> Store {
    let mut store = Store::new();
    let mut waiting = Vec::new();
    for portion in late_delivery(facts, lateness, seed) {
        waiting.extend(portion);
        save(&mut store, waiting.clone(), now);
        if store.newest().is_some() {
            waiting.clear();
        }
    }
    store
}

proptest! {
    #![proptest_config(config())]

    /// Once is the same as many; any split, any overlap, any order, for lines as late as allowed.
    #[test]
    fn the_delivery_of_lines_does_not_matter(
        log in prop_oneof![any_log(), sensible_log()], seed: u64, lateness in 0..24_usize,
    ) {
        let facts: Vec<_> = log.iter().map(fact_of).collect();
        let runs = facts.iter().cloned().collect::<FactLog>().runs();
        // The 21st earlier run makes the first one final.
        let lateness = if runs.len() > 20 { 0 } else { lateness };
        let now = Timestamp::from_millis(5_000);
        let mut whole = Store::new();
        save(&mut whole, facts.clone(), now);
        let store = deliver(&facts, lateness, seed, now);
        prop_assert_eq!(contents(&store), contents(&whole));
        for (task, run) in store.live().iter().zip(&runs) {
            prop_assert!(run.start.time() <= task.run, "{} begins before {}", task.run, run.start.time());
        }
        for (task, next) in store.live().iter().zip(runs.iter().skip(1)) {
            // Runs that begin in one millisecond have names one millisecond apart.
            let apart = next.start.time().as_millis() + 40;
            prop_assert!(task.run.as_millis() < apart);
        }
    }
}

proptest! {
    // A case takes as long as ten of the others.
    #![proptest_config(ProptestConfig { cases: config().cases.div_ceil(10), ..config() })]

    /// The same for long logs that are in order, with silence and many runs.
    #[test]
    fn the_portions_of_a_long_log_do_not_matter(
        logs in proptest::collection::vec((any_log(), 0..4_usize), 1..12), seed: u64,
    ) {
        let facts = one_after_another(&logs);
        let now = Timestamp::from_millis(5_000);
        let mut whole = Store::new();
        save(&mut whole, facts.clone(), now);
        let store = deliver(&facts, 0, seed, now);
        prop_assert_eq!(contents(&store), contents(&whole));
    }
}

/// The facts of several logs, one after another, each with a silence before it.
fn one_after_another(logs: &[(Vec<Line>, usize)]) -> Vec<KeyedFact> {
    const SILENCES_MS: [u64; 4] = [0, 1_200_000, 3_700_000, 100_000_000];
    let mut facts: Vec<KeyedFact> = Vec::new();
    let mut start_ms = 0;
    for (log, silence) in logs {
        start_ms += SILENCES_MS[*silence];
        for (key, fact) in log.iter().map(fact_of) {
            let time = key.time().after(Duration::from_millis(start_ms));
            let line = u32::try_from(facts.len()).expect("a short log");
            facts.push((LineKey::outside_logs(time).with_line(line), fact));
        }
        start_ms += 200;
    }
    facts
}
