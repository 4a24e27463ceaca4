//! The Redis that caches tasks: the user's, or one that this process starts.

use std::fmt;
use std::sync::Arc;

use shared::cache::TaskCache;
use shared::cache::redis::RedisTaskCache;
use shared::config::{CacheConfig, ConfigError, Settings};
use shared::error::error_chain;

use crate::redis_process::{RedisError, RedisProcess};

/// The Redis that caches tasks, if there is one.
pub(crate) enum LocalCache {
    /// The Redis at `REDIS_ENDPOINT`.
    External(Arc<dyn TaskCache>),
    /// A redis-server that this process started.
    Started(Arc<dyn TaskCache>, Box<RedisProcess>),
    /// No Redis, because redis-server can't be started.
    Unavailable(RedisError),
    /// No Redis, because of `--no-redis`.
    Disabled,
}

impl LocalCache {
    /// Connects to the Redis at `REDIS_ENDPOINT`, or else starts a redis-server. A redis-server that can't be
    /// started is no error: everything works without a cache.
    ///
    /// # Errors
    ///
    /// An invalid `REDIS_*` setting.
    pub(crate) async fn start(
        settings: &Settings<'_>,
        is_disabled: bool,
    ) -> Result<Self, ConfigError> {
        if is_disabled {
            return Ok(Self::Disabled);
        }
        if let Some(config) = CacheConfig::from_settings(settings)? {
            return Ok(Self::External(task_cache(&config)?));
        }
        let redis = match RedisProcess::start_with_password(0).await {
            Ok(redis) => redis,
            Err(error) => return Ok(Self::Unavailable(error)),
        };
        let cache = task_cache(&CacheConfig::at(redis.endpoint()))?;
        Ok(Self::Started(cache, Box::new(redis)))
    }

    /// The cache, if there is a Redis.
    pub(crate) fn task_cache(&self) -> Option<Arc<dyn TaskCache>> {
        match self {
            Self::External(cache) | Self::Started(cache, _) => Some(cache.clone()),
            Self::Unavailable(_) | Self::Disabled => None,
        }
    }

    /// Stops the redis-server that this process started.
    pub(crate) async fn stop(self) {
        if let Self::Started(_, redis) = self {
            redis.stop().await;
        }
    }
}

fn task_cache(config: &CacheConfig) -> Result<Arc<dyn TaskCache>, ConfigError> {
    Ok(Arc::new(RedisTaskCache::new(config)?))
}

impl fmt::Display for LocalCache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::External(_) => formatter.write_str("the one at REDIS_ENDPOINT"),
            Self::Started(_, redis) => write!(formatter, "started on {}", redis.address),
            Self::Unavailable(error) => write!(formatter, "none: {}", error_chain(error)),
            Self::Disabled => formatter.write_str("none, because of --no-redis"),
        }
    }
}
