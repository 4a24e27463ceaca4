//! The whole system in memory, with several instances of the API and of the collector.

use std::sync::Arc;
use std::time::Duration;

use api_lambda::{ApiState, Auth, Cors, router};
use async_trait::async_trait;
use axum::Router;
use progress_collector::{Collector, CollectorConfig, LogGroup, Parts};
use shared::cache::TaskCache;
use shared::cache::cautious::CautiousTaskCache;
use shared::error::Source;
use shared::log_parser::LogFormat;
use shared::log_source::{LogPage, LogSource, LogSourceError, PageRequest};
use shared::model::Timestamp;
use testkit::cache::faulty::FaultyTaskCache;
use testkit::checkpoint::InMemoryCheckpointStore;
use testkit::faults::Faults;
use testkit::log_source::InMemoryLogSource;
use testkit::store::faulty::FaultyTaskStore;
use testkit::store::memory::InMemoryStore;
use tokio::time::Instant;

use crate::dice::Dice;
use crate::watched_cache::WatchedCache;
use crate::weather::Weather;

pub(crate) const CDK: &str = "/miyabi/cdk";
pub(crate) const AGENTS: &str = "/miyabi/agents";
/// What the clocks show when a run begins.
pub(crate) const START_MS: i64 = 1_795_255_200_000;
/// How far before its checkpoint a sweep starts: longer than the latest event is late, with all clocks off.
const OVERLAP: Duration = Duration::from_secs(12);
const STALE_AFTER: Duration = Duration::from_secs(900);

/// All parts, and what can go wrong with them.
pub(crate) struct World {
    pub(crate) dice: Dice,
    pub(crate) weather: Arc<Weather>,
    pub(crate) logs: Arc<InMemoryLogSource>,
    store: Arc<FaultyTaskStore<InMemoryStore>>,
    cache: FaultyTaskCache<WatchedCache>,
    checkpoints: Arc<FaultyTaskStore<InMemoryCheckpointStore>>,
    store_faults: Faults,
    cache_faults: Faults,
    log_faults: Faults,
    started: Instant,
}

impl World {
    /// Empty, and undisturbed as yet.
    pub(crate) fn new(dice: Dice) -> Self {
        let weather = Arc::new(Weather::new(&dice));
        let page_size = usize::try_from(dice.number(1..12)).unwrap();
        let [store_faults, cache_faults, log_faults] = [(); 3].map(|()| Faults::none());
        let store = FaultyTaskStore::new(InMemoryStore::new(), store_faults.clone());
        let store = Arc::new(store);
        let cache = WatchedCache::new(store.clone());
        let checkpoints = InMemoryCheckpointStore::new();
        let logs = Arc::new(InMemoryLogSource::new(page_size));
        logs.put(CDK, []);
        logs.put(AGENTS, []);
        Self {
            weather,
            logs,
            store,
            cache: FaultyTaskCache::new(cache, cache_faults.clone()),
            checkpoints: Arc::new(FaultyTaskStore::new(checkpoints, store_faults.clone())),
            store_faults,
            cache_faults,
            log_faults,
            started: Instant::now(),
            dice,
        }
    }

    /// From now on things go wrong.
    pub(crate) fn disturb(&self) {
        self.store_faults.disturb(self.weather.of_store(&self.dice));
        self.cache_faults.disturb(self.weather.of_cache(&self.dice));
        self.log_faults.disturb(self.weather.of_logs(&self.dice));
    }

    /// From now on nothing goes wrong any more.
    pub(crate) fn calm_down(&self) {
        for faults in [&self.store_faults, &self.cache_faults, &self.log_faults] {
            faults.clear();
        }
    }

    /// What a clock shows that is off by `skew_ms`.
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

    /// The store, as it is without faults.
    pub(crate) fn store(&self) -> &InMemoryStore {
        self.store.inner()
    }

    /// The cache, as it is without faults.
    pub(crate) fn cache(&self) -> &WatchedCache {
        self.cache.inner()
    }

    /// The cache as one more instance sees it, which knows of its own failures alone.
    fn cache_of_instance(&self) -> Arc<dyn TaskCache> {
        Arc::new(CautiousTaskCache::new(self.cache.clone()))
    }

    /// One more instance of the API, whose clock is off by `skew_ms`.
    pub(crate) fn api(&self, skew_ms: i64) -> Router {
        let (tasks, projects) = (self.store.clone(), self.store.clone());
        let state = ApiState::new(tasks, projects, Some(self.cache_of_instance()), STALE_AFTER);
        let state = state.with_clock(self.clock(skew_ms));
        router(state, Auth::none(), Cors::default())
    }

    /// One more instance of the collector.
    pub(crate) fn collector(&self) -> Collector {
        let parts = Parts {
            tasks: self.store.clone(),
            projects: self.store.clone(),
            checkpoints: self.checkpoints.clone(),
            cache: Some(self.cache_of_instance()),
            logs: Arc::new(FaultyLogSource {
                inner: self.logs.clone(),
                faults: self.log_faults.clone(),
            }),
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
            ..CollectorConfig::default()
        };
        Collector::new(parts, config)
    }
}

/// A log source whose calls fail as its [`Faults`] say.
struct FaultyLogSource {
    inner: Arc<InMemoryLogSource>,
    faults: Faults,
}

#[async_trait]
impl LogSource for FaultyLogSource {
    async fn fetch_page(&self, request: PageRequest<'_>) -> Result<LogPage, LogSourceError> {
        let log_group = request.log_group.to_owned();
        let unavailable = |source: Source| LogSourceError::Unavailable { log_group, source };
        let call = self.inner.fetch_page(request);
        self.faults.around(call, unavailable).await
    }
}
