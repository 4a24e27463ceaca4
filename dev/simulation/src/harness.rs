//! The whole system in memory, with several instances of the API and of the collector.

use std::sync::Arc;
use std::time::Duration;

use api_lambda::{ApiState, Auth, Cors, router};
use axum::Router;
use progress_collector::{Collector, CollectorConfig, LogGroup, Parts};
use shared::cache::TaskCache;
use shared::log_parser::LogFormat;
use shared::model::Timestamp;
use testkit::cache::memory::InMemoryTaskCache;
use testkit::checkpoint::InMemoryCheckpointStore;
use testkit::faults::{Faults, Faulty};
use testkit::log_source::InMemoryLogSource;
use testkit::object_source::InMemoryObjectSource;
use testkit::store::memory::InMemoryStore;
use tokio::time::Instant;

use crate::fault_plan::FaultPlan;
use crate::rng::Rng;
use crate::watch::Watch;

pub(crate) const CDK: &str = "/miyabi/cdk";
pub(crate) const AGENTS: &str = "/miyabi/agents";
/// The time of an exact clock when a run begins.
pub(crate) const START_MS: i64 = 1_795_255_200_000;
/// A sweep starts this long before its checkpoint: longer than any event is late, clock skew
/// included.
const OVERLAP: Duration = Duration::from_secs(12);
const STALE_AFTER: Duration = Duration::from_secs(900);

/// All parts of the system, and the faults that they share.
pub(crate) struct Harness {
    pub(crate) rng: Rng,
    pub(crate) fault_plan: Arc<FaultPlan>,
    pub(crate) logs: Arc<InMemoryLogSource>,
    store: Arc<InMemoryStore>,
    cache: Arc<InMemoryTaskCache>,
    checkpoints: Arc<InMemoryCheckpointStore>,
    pub(crate) watch: Watch,
    faults: Faults,
    started: Instant,
}

impl Harness {
    /// An empty system without faults.
    pub(crate) fn new(rng: Rng) -> Self {
        let fault_plan = Arc::new(FaultPlan::new(&rng));
        let page_size = usize::try_from(rng.number(1..12)).unwrap();
        let (store, cache) = (Arc::default(), Arc::default());
        let logs = Arc::new(InMemoryLogSource::new(page_size));
        logs.put(CDK, []);
        logs.put(AGENTS, []);
        let (watch, faults) = (Watch::default(), Faults::none());
        faults.observe(watch.observer(Arc::clone(&cache), Arc::clone(&store)));
        Self {
            fault_plan,
            logs,
            store,
            cache,
            checkpoints: Arc::default(),
            watch,
            faults,
            started: Instant::now(),
            rng,
        }
    }

    /// From now on calls are slow or fail as the fault plan says.
    pub(crate) fn begin_faults(&self) {
        self.faults.disturb(self.fault_plan.predicate(&self.rng));
    }

    /// From now on no call fails.
    pub(crate) fn end_faults(&self) {
        self.faults.clear();
    }

    /// A clock that is off by `skew_ms`.
    pub(crate) fn clock(&self, skew_ms: i64) -> impl Fn() -> Timestamp + Send + Sync + 'static {
        let started = self.started;
        move || {
            let elapsed_ms = i64::try_from(started.elapsed().as_millis()).unwrap();
            Timestamp::from_millis(START_MS + elapsed_ms + skew_ms)
        }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The store itself, without faults.
    pub(crate) fn store(&self) -> &InMemoryStore {
        &self.store
    }

    /// The cache forgets everything.
    pub(crate) fn empty_cache(&self) {
        self.cache.lose_all();
    }

    fn faulty<T>(&self, part: &Arc<T>) -> Faulty<T> {
        Faulty::new(Arc::clone(part), self.faults.clone())
    }

    fn faulty_cache(&self) -> Arc<dyn TaskCache> {
        Arc::new(self.faulty(&self.cache))
    }

    /// Another instance of the API, whose clock is off by `skew_ms`.
    pub(crate) fn api(&self, skew_ms: i64) -> Router {
        let store = Arc::new(self.faulty(&self.store));
        let cache = Some(self.faulty_cache());
        let state = ApiState::new(store.clone(), store, cache, STALE_AFTER);
        let state = state.with_clock(self.clock(skew_ms));
        router(state, Auth::none(), Cors::default())
    }

    /// Another instance of the collector.
    pub(crate) fn collector(&self) -> Collector {
        let store = Arc::new(self.faulty(&self.store));
        let parts = Parts {
            tasks: store.clone(),
            projects: store,
            checkpoints: Arc::new(self.faulty(&self.checkpoints)),
            cache: Some(self.faulty_cache()),
            logs: Arc::new(self.faulty(&self.logs)),
            objects: Arc::new(InMemoryObjectSource::default()),
        };
        let group = |name: &str, format| LogGroup {
            name: name.to_owned(),
            format,
        };
        let config = CollectorConfig {
            groups: vec![group(CDK, LogFormat::CDK), group(AGENTS, LogFormat::AGENT)],
            overlap: OVERLAP,
            first_sweep: Duration::from_secs(1_800),
            stale_after: STALE_AFTER,
            region: None,
        };
        Collector::new(parts, config)
    }
}
