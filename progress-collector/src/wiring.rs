//! Clients, made once at cold start. Nothing is connected to before the first invocation, so that the function
//! starts whatever is down.

use std::sync::Arc;

use shared::aws;
use shared::cache::TaskCache;
use shared::cache::cautious::CautiousTaskCache;
use shared::cache::redis::RedisTaskCache;
use shared::checkpoint::dynamodb::DynamoDbCheckpointStore;
use shared::config::{CacheConfig, ConfigError, Settings, StoreConfig};
use shared::event_sink::eventbridge::EventBridgeSink;
use shared::log_source::CloudWatchLogSource;
use shared::store::dynamodb::{DynamoDbProjectStore, DynamoDbTaskStore};

use crate::collector::{Collector, CollectorConfig, Parts};

/// The collector that `settings` ask for, on DynamoDB, Redis and CloudWatch Logs.
///
/// # Errors
///
/// A setting that is missing or makes no sense.
pub async fn connect(settings: &Settings<'_>) -> Result<Collector, ConfigError> {
    let config = CollectorConfig::from_settings(settings)?;
    let tables = StoreConfig::from_settings(settings)?;
    let checkpoints = settings.required("CHECKPOINTS_TABLE_NAME")?;
    let cache: Option<Arc<dyn TaskCache>> = match CacheConfig::from_settings(settings)? {
        Some(cache) => Some(Arc::new(CautiousTaskCache::new(RedisTaskCache::new(
            &cache,
        )?))),
        None => None,
    };

    let aws = aws::load_config(settings).await;
    let dynamodb = aws::dynamodb(&aws);
    let parts = Parts {
        tasks: Arc::new(DynamoDbTaskStore::new(dynamodb.clone(), &tables)),
        projects: Arc::new(DynamoDbProjectStore::new(dynamodb.clone(), &tables)),
        checkpoints: Arc::new(DynamoDbCheckpointStore::new(dynamodb, checkpoints)),
        cache,
        logs: Arc::new(CloudWatchLogSource::new(aws::cloudwatch_logs(&aws))),
    };
    let collector = Collector::new(parts, config);
    Ok(match settings.optional("EVENT_BUS_NAME") {
        // Most cold starts are for something else: the client is made when there is an event.
        Some(event_bus) => collector.with_event_sink(Arc::new(EventBridgeSink::new(
            move || aws::eventbridge(&aws),
            event_bus,
        ))),
        None => collector,
    })
}
