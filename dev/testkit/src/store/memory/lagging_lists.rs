//! Lists that lag behind their table, as DynamoDB's indexes do.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use shared::model::{RecordId, Task};
use shared::record::Head;
use tokio::time::Instant;

/// Shows each write of a head after a time of its own.
#[derive(Debug)]
pub(super) struct LaggingLists {
    max_lag: Duration,
    lags: fastrand::Rng,
    states: HashMap<RecordId, VecDeque<State>>,
}

/// A state of a head, from a time on.
#[derive(Debug)]
struct State {
    from: Instant,
    listed: Option<Task>,
}

impl LaggingLists {
    pub(super) fn new(max_lag: Duration) -> Self {
        Self {
            max_lag,
            lags: fastrand::Rng::with_seed(1),
            states: HashMap::new(),
        }
    }

    /// Adds a write of a head, which becomes visible within the lag. Writes of one head become
    /// visible in their order.
    pub(super) fn put(&mut self, head: &Head) {
        let lag = self.max_lag.mul_f64(self.lags.f64());
        let states = self.states.entry(head.task.record_id()).or_default();
        let earliest = states.back().map(|last| last.from);
        let from = Instant::now() + lag;
        states.push_back(State {
            from: earliest.map_or(from, |earliest| from.max(earliest)),
            listed: head.live().cloned(),
        });
    }

    /// The heads as the lists have them now.
    pub(super) fn visible(&mut self) -> impl Iterator<Item = &Task> {
        let now = Instant::now();
        for states in self.states.values_mut() {
            while states.get(1).is_some_and(|next| next.from <= now) {
                states.pop_front();
            }
        }
        let newest = self.states.values().filter_map(VecDeque::front);
        let visible = newest.filter(move |state| state.from <= now);
        visible.filter_map(|state| state.listed.as_ref())
    }
}
