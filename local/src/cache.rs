//! The Redis that is used, if one is: the user's, or one of our own.

use std::fmt;
use std::sync::Arc;

use shared::cache::TaskCache;
use shared::cache::cautious::CautiousTaskCache;
use shared::cache::redis::RedisTaskCache;
use shared::config::{CacheConfig, ConfigError, Settings};
use shared::error::error_chain;

use crate::redis_process::{RedisError, RedisProcess};

/// The Redis that is used, if one is.
pub(crate) enum LocalCache {
    /// The one at `REDIS_ENDPOINT`.
    Given(Arc<dyn TaskCache>),
    /// One of our own.
    Started(Arc<dyn TaskCache>, Box<RedisProcess>),
    /// None, as none can be started.
    Absent(RedisError),
    /// None, as none is wanted.
    Unwanted,
}

impl LocalCache {
    /// Takes the Redis at `REDIS_ENDPOINT` or else starts one, unless none is wanted. That none can be
    /// started is no error: a cache is not needed.
    ///
    /// # Errors
    ///
    /// A `REDIS_ENDPOINT` that makes no sense.
    pub(crate) async fn start(
        settings: &Settings<'_>,
        is_unwanted: bool,
    ) -> Result<Self, ConfigError> {
        if is_unwanted {
            return Ok(Self::Unwanted);
        }
        if let Some(config) = CacheConfig::from_settings(settings)? {
            return Ok(Self::Given(Arc::new(CautiousTaskCache::new(
                RedisTaskCache::new(&config)?,
            ))));
        }
        let redis = match RedisProcess::start(0).await {
            Ok(redis) => redis,
            Err(error) => return Ok(Self::Absent(error)),
        };
        let config = CacheConfig::at(redis.address.to_string());
        let cache = Arc::new(CautiousTaskCache::new(RedisTaskCache::new(&config)?));
        Ok(Self::Started(cache, Box::new(redis)))
    }

    /// The cache.
    pub(crate) fn task_cache(&self) -> Option<Arc<dyn TaskCache>> {
        match self {
            Self::Given(cache) | Self::Started(cache, _) => Some(cache.clone()),
            Self::Absent(_) | Self::Unwanted => None,
        }
    }

    /// Ends what was started.
    pub(crate) async fn stop(self) {
        if let Self::Started(_, redis) = self {
            redis.stop().await;
        }
    }
}

impl fmt::Display for LocalCache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given(_) => formatter.write_str("the one at REDIS_ENDPOINT"),
            Self::Started(_, redis) => write!(formatter, "started on {}", redis.address),
            Self::Absent(error) => write!(formatter, "none: {}", error_chain(error)),
            Self::Unwanted => formatter.write_str("none, as asked"),
        }
    }
}
