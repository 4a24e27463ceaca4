//! The parts, built once at cold start. Nothing here waits for the network: clients connect at the first
//! request, so that the function starts whatever is down.

use std::sync::Arc;

use shared::aws;
use shared::config::{ConfigError, Settings, StoreConfig, stale_after};
use shared::store::dynamodb::{DynamoDbProjectStore, DynamoDbTaskStore};

use crate::ApiState;

/// The parts that `settings` name.
///
/// # Errors
///
/// A setting that is missing or makes no sense.
pub async fn connect(settings: &Settings<'_>) -> Result<ApiState, ConfigError> {
    let config = StoreConfig::from_settings(settings)?;
    let stale_after = stale_after(settings)?;
    let client = aws::dynamodb(&aws::load_config().await);
    let tasks = Arc::new(DynamoDbTaskStore::new(client.clone(), &config));
    let projects = Arc::new(DynamoDbProjectStore::new(client, &config));
    Ok(ApiState::new(tasks, projects, None, stale_after))
}
