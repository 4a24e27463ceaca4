//! Creates the clients, once per cold start. They connect at the first invocation, so the function
//! starts even while a service is down.

use std::sync::Arc;
use std::time::Duration;

use shared::aws;
use shared::cache::TaskCache;
use shared::cache::redis::RedisTaskCache;
use shared::checkpoint::dynamodb::DynamoDbCheckpointStore;
use shared::config::{CacheConfig, ConfigError, Settings, StoreConfig};
use shared::event_sink::EventSink;
use shared::event_sink::eventbridge::EventBridgeSink;
use shared::log_source::CloudWatchLogSource;
use shared::object_source::S3ObjectSource;
use shared::push_sink::appsync::{AppSyncEndpoint, AppSyncSink};
use shared::store::dynamodb::{DynamoDbProjectStore, DynamoDbTaskStore};

use crate::collector::{Collector, Parts};
use crate::config::CollectorConfig;
use crate::handler::Handler;
use crate::publisher::Publisher;

/// Creates what `settings` describe. `PUBLISH` makes it a publisher: `bus` for the event bus
/// `EVENT_BUS_NAME`, `push` for the API of AppSync Events `PUSH_HTTP_HOST`. Without `PUBLISH`, it is
/// a collector.
///
/// # Errors
///
/// [`ConfigError`] if a setting is missing or invalid.
pub async fn connect(settings: &Settings<'_>) -> Result<Box<dyn Handler>, ConfigError> {
    match settings.optional("PUBLISH").as_deref() {
        None => Ok(Box::new(collector(settings).await?)),
        Some("bus") => Ok(Box::new(bus_publisher(settings).await?)),
        Some("push") => Ok(Box::new(push_publisher(settings).await?)),
        Some(_) => Err(ConfigError::Invalid {
            name: "PUBLISH",
            expected: "bus or push",
        }),
    }
}

/// The collector, on DynamoDB, Redis and CloudWatch Logs.
async fn collector(settings: &Settings<'_>) -> Result<Collector, ConfigError> {
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
        objects: Arc::new(S3ObjectSource::new(aws::connector(settings), aws)),
    };
    Ok(Collector::new(parts, config))
}

async fn bus_publisher(settings: &Settings<'_>) -> Result<Publisher, ConfigError> {
    let (tables, stale_after) = publisher_config(settings)?;
    let event_bus = settings.optional("EVENT_BUS_NAME");
    let aws = aws::load_config(settings).await;
    let tasks = Arc::new(DynamoDbTaskStore::new(aws::dynamodb(&aws), &tables));
    let sink = event_bus.map(|event_bus| {
        // Most records are no events, so the first event creates the client.
        let sink = EventBridgeSink::new(move || aws::eventbridge(&aws), event_bus);
        Arc::new(sink) as Arc<dyn EventSink>
    });
    Ok(Publisher::to_bus(tasks, sink, stale_after))
}

async fn push_publisher(settings: &Settings<'_>) -> Result<Publisher, ConfigError> {
    let (tables, stale_after) = publisher_config(settings)?;
    let endpoint = AppSyncEndpoint::from_settings(settings)?;
    let aws = aws::load_config(settings).await;
    let tasks = Arc::new(DynamoDbTaskStore::new(aws::dynamodb(&aws), &tables));
    let sink = AppSyncSink::new(aws::connector(settings), aws, endpoint);
    Ok(Publisher::to_push(tasks, Arc::new(sink), stale_after))
}

fn publisher_config(settings: &Settings<'_>) -> Result<(StoreConfig, Duration), ConfigError> {
    let tables = StoreConfig::from_settings(settings)?;
    Ok((tables, shared::config::stale_after(settings)?))
}

fn cache(settings: &Settings<'_>) -> Result<Option<Arc<dyn TaskCache>>, ConfigError> {
    let Some(config) = CacheConfig::from_settings(settings)? else {
        return Ok(None);
    };
    Ok(Some(Arc::new(RedisTaskCache::new(&config)?)))
}
