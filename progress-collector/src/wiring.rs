//! Creates the clients, once per cold start. They connect at the first invocation, so the function
//! starts even while a service is down.

use std::sync::Arc;

use shared::aws;
use shared::cache::TaskCache;
use shared::cache::redis::RedisTaskCache;
use shared::checkpoint::dynamodb::DynamoDbCheckpointStore;
use shared::config::{CacheConfig, ConfigError, Settings, StoreConfig};
use shared::event_sink::eventbridge::EventBridgeSink;
use shared::log_source::CloudWatchLogSource;
use shared::store::dynamodb::{DynamoDbProjectStore, DynamoDbTaskStore};

use crate::collector::{Collector, Parts};
use crate::config::CollectorConfig;

/// Creates the collector that `settings` describe, on DynamoDB, Redis, CloudWatch Logs and
/// EventBridge.
///
/// # Errors
///
/// [`ConfigError`] if a setting is missing or invalid.
pub async fn connect(settings: &Settings<'_>) -> Result<Collector, ConfigError> {
    let config = CollectorConfig::from_settings(settings)?;
    let tables = StoreConfig::from_settings(settings)?;
    let checkpoints = settings.required("CHECKPOINTS_TABLE_NAME")?;
    let cache = cache(settings)?;

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
    let Some(event_bus) = settings.optional("EVENT_BUS_NAME") else {
        return Ok(collector);
    };
    // Most cold starts publish nothing, so the first event creates the client.
    let sink = EventBridgeSink::new(move || aws::eventbridge(&aws), event_bus);
    Ok(collector.with_event_sink(Arc::new(sink)))
}

fn cache(settings: &Settings<'_>) -> Result<Option<Arc<dyn TaskCache>>, ConfigError> {
    let Some(config) = CacheConfig::from_settings(settings)? else {
        return Ok(None);
    };
    Ok(Some(Arc::new(RedisTaskCache::new(&config)?)))
}
