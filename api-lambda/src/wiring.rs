//! Creates the clients of DynamoDB and Redis, once at cold start.
//!
//! Nothing here waits for the network. Clients connect at the first request, so the function starts
//! even if a service is down.

use std::sync::Arc;

use shared::aws;
use shared::cache::TaskCache;
use shared::cache::redis::RedisTaskCache;
use shared::config::{CacheConfig, ConfigError, Settings, StoreConfig, log_region, stale_after};
use shared::log_source::CloudWatchTailSource;
use shared::store::dynamodb::{DynamoDbProjectStore, DynamoDbTaskStore};

use crate::auth::Auth;
use crate::push::PushEndpoint;
use crate::state::ApiState;

/// Creates the state of the API from `settings`. Browsers learn where to subscribe to changes only
/// if `auth` can check their tokens.
///
/// # Errors
///
/// If a setting is missing or invalid.
///
/// # Panics
///
/// Outside of a Tokio runtime.
pub async fn connect(settings: &Settings<'_>, auth: &Auth) -> Result<ApiState, ConfigError> {
    let config = StoreConfig::from_settings(settings)?;
    let stale_after = stale_after(settings)?;
    let push = PushEndpoint::from_settings(settings)?;
    let cache = match CacheConfig::from_settings(settings)? {
        Some(config) => {
            let cache = RedisTaskCache::new(&config)?;
            Some(Arc::new(cache) as Arc<dyn TaskCache>)
        }
        None => None,
    };
    // Loading the AWS configuration can be slow. It comes last, so that invalid settings fail
    // first.
    let aws = aws::load_config(settings).await;
    let client = aws::dynamodb(&aws);
    let tasks = Arc::new(DynamoDbTaskStore::new(client.clone(), &config));
    let projects = Arc::new(DynamoDbProjectStore::new(client, &config));
    let keeps_log_tail = keeps_log_tail(settings)?;
    let state = ApiState::new(tasks, projects, cache, stale_after)
        .with_region(log_region(settings))
        .with_log_tail(keeps_log_tail);
    let state = match keeps_log_tail {
        true => {
            let log_tails = CloudWatchTailSource::new(move || aws::cloudwatch_logs(&aws));
            state.with_log_tails(Arc::new(log_tails))
        }
        false => state,
    };
    Ok(match push {
        Some(push) if auth.checks_tokens() => state.with_push(push),
        _ => state,
    })
}

/// Reads `KEEP_LOG_TAIL` (`on` or `off`, default `on`): whether the last lines that are sent to the API
/// are kept, and those of log streams shown.
fn keeps_log_tail(settings: &Settings<'_>) -> Result<bool, ConfigError> {
    const NAME: &str = "KEEP_LOG_TAIL";
    match settings.optional(NAME).as_deref() {
        None | Some("on") => Ok(true),
        Some("off") => Ok(false),
        Some(_) => Err(ConfigError::Invalid {
            name: NAME,
            expected: "on or off",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The error if `name` is `value` and all other settings are valid.
    async fn error_of(name: &str, value: &str) -> String {
        let lookup = |setting: &str| {
            let valid = match setting {
                "INDEX_SHARDS" | "STALE_AFTER_SECONDS" => "1",
                "REDIS_TLS" | "REDIS_CLUSTER" => "false",
                "REDIS_CA_CERT" => "",
                _ => "name",
            };
            Some(if setting == name { value } else { valid }.to_owned())
        };
        let error = connect(&Settings::new(&lookup), &Auth::none()).await.err();
        error.map_or_else(String::new, |error| error.to_string())
    }

    #[tokio::test]
    async fn an_error_names_the_invalid_setting() {
        for (name, value) in [
            ("TASKS_TABLE_NAME", ""),
            ("PROJECTS_TABLE_NAME", ""),
            ("INDEX_SHARDS", "0"),
            ("STALE_AFTER_SECONDS", "soon"),
            ("REDIS_TLS", "perhaps"),
            ("REDIS_CLUSTER", "perhaps"),
            ("REDIS_ENDPOINT", "redis://:x"),
            ("REDIS_CA_CERT", "/no/such/file"),
            ("PUSH_HTTP_HOST", "https://name"),
            ("PUSH_REALTIME_HOST", ""),
        ] {
            let error = error_of(name, value).await;
            assert!(error.starts_with(name), "{name}: {error}");
        }
    }
}
