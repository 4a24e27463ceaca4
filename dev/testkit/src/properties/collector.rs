//! Checks that hold for any event of the collector.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use crate::event_sink::InMemoryEventSink;
use crate::log_source::InMemoryLogSource;
use crate::push_sink::InMemoryPushSink;
use crate::store::memory::InMemoryStore;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use shared::log_parser::LogFormat;
use shared::model::properties;
use shared::store::{TaskQuery, TaskStore};

use progress_collector::{
    Collector, CollectorConfig, Handler, InvokeError, LogGroup, MetricsLevel, Parts, Publisher,
    invoke,
};

/// Invokes the collector with `event` in three ways: as JSON, as the packed data of a subscription,
/// and as that data before it is packed. Checks that it does not panic, that no error is one that a
/// retry could fix, that all tasks are within their limits, and that metrics are lines of JSON.
/// Returns the number of tasks.
///
/// # Panics
///
/// If a check fails.
pub fn check(event: &[u8]) -> usize {
    let mut tasks = 0;
    if let Ok(event) = serde_json::from_slice(event) {
        tasks += take(&event);
    }
    tasks += take(&pushed(event));
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(event).unwrap();
    tasks + take(&pushed(&packed.finish().unwrap()))
}

/// The event of a subscription.
fn pushed(packed: &[u8]) -> Value {
    json!({"awslogs": {"data": BASE64_STANDARD.encode(packed)}})
}

fn take(event: &Value) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    runtime.unwrap().block_on(async {
        let store = Arc::new(InMemoryStore::new());
        let collector = collector(&store);
        let mut metrics = Vec::new();
        let stale_after = Duration::from_secs(900);
        let event_sink = Arc::new(InMemoryEventSink::default());
        let bus = Publisher::to_bus(store.clone(), Some(event_sink), stale_after);
        let push_sink = Arc::new(InMemoryPushSink::default());
        let push = Publisher::to_push(store.clone(), push_sink, stale_after);
        let handlers: [&dyn Handler; 3] = [&collector, &bus, &push];
        for handler in handlers {
            match invoke(handler, event, 0, MetricsLevel::Full, &mut metrics).await {
                Ok(_) | Err(InvokeError::Trigger(_)) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
        let metrics = String::from_utf8(metrics).unwrap();
        for line in metrics.lines() {
            assert!(serde_json::from_str::<Value>(line).is_ok(), "{line:?}");
        }
        let page = TaskStore::list(&*store, &TaskQuery::default(), None, usize::MAX).await;
        let tasks = page.unwrap().tasks;
        tasks.iter().for_each(properties::check);
        tasks.len()
    })
}

fn collector(store: &Arc<InMemoryStore>) -> Collector {
    let logs = InMemoryLogSource::new(100);
    let group = |name: &str, format| LogGroup {
        name: name.to_owned(),
        format,
    };
    let config = CollectorConfig {
        groups: vec![
            group("/cdk", LogFormat::CDK),
            group("/agents", LogFormat::AGENT),
        ],
        ..CollectorConfig::default()
    };
    for group in &config.groups {
        logs.put(&group.name, []);
    }
    let parts = Parts {
        tasks: store.clone(),
        projects: store.clone(),
        checkpoints: Arc::new(crate::checkpoint::InMemoryCheckpointStore::new()),
        cache: None,
        logs: Arc::new(logs),
        objects: Arc::new(crate::object_source::InMemoryObjectSource::default()),
    };
    Collector::new(parts, config)
}
