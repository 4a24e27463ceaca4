//! The parts, built once at cold start. Nothing here waits for the network: clients connect at the first
//! request, so that the function starts whatever is down.

use std::sync::Arc;

use shared::aws;
use shared::cache::TaskCache;
use shared::cache::cautious::CautiousTaskCache;
use shared::cache::redis::RedisTaskCache;
use shared::config::{CacheConfig, ConfigError, Settings, StoreConfig, stale_after};
use shared::store::dynamodb::{DynamoDbProjectStore, DynamoDbTaskStore};

use crate::ApiState;

/// The parts that `settings` name.
///
/// # Errors
///
/// A setting that is missing or makes no sense.
///
/// # Panics
///
/// Outside of a Tokio runtime.
pub async fn connect(settings: &Settings<'_>) -> Result<ApiState, ConfigError> {
    let config = StoreConfig::from_settings(settings)?;
    let stale_after = stale_after(settings)?;
    let cache = match CacheConfig::from_settings(settings)? {
        Some(config) => {
            let cache = CautiousTaskCache::new(RedisTaskCache::new(&config)?);
            Some(Arc::new(cache) as Arc<dyn TaskCache>)
        }
        None => None,
    };
    // Asked for last, so that a wrong setting is told before anything else is done.
    let client = aws::dynamodb(&aws::load_config(settings).await);
    let tasks = Arc::new(DynamoDbTaskStore::new(client.clone(), &config));
    let projects = Arc::new(DynamoDbProjectStore::new(client, &config));
    Ok(ApiState::new(tasks, projects, cache, stale_after))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wrong if `name` is `value` and all else is as it should be.
    async fn refused(name: &str, value: &str) -> String {
        let lookup = |asked: &str| {
            let good = match asked {
                "INDEX_SHARDS" | "STALE_AFTER_SECONDS" => "1",
                "REDIS_TLS" | "REDIS_CLUSTER" => "false",
                "REDIS_CA_CERT" => "",
                _ => "name",
            };
            Some(if asked == name { value } else { good }.to_owned())
        };
        let refused = connect(&Settings::new(&lookup)).await.err();
        refused.map_or_else(String::new, |error| error.to_string())
    }

    #[tokio::test]
    async fn a_wrong_setting_is_named() {
        for (name, value) in [
            ("TASKS_TABLE_NAME", ""),
            ("PROJECTS_TABLE_NAME", ""),
            ("INDEX_SHARDS", "0"),
            ("STALE_AFTER_SECONDS", "soon"),
            ("REDIS_TLS", "perhaps"),
            ("REDIS_CLUSTER", "perhaps"),
            ("REDIS_ENDPOINT", "redis://:x"),
            ("REDIS_CA_CERT", "/no/such/file"),
        ] {
            let refused = refused(name, value).await;
            assert!(refused.starts_with(name), "{name}: {refused}");
        }
    }
}
