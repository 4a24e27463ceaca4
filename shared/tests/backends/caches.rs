//! Runs the conformance suite on each cache.

use std::sync::Arc;

use shared::cache::TaskCache;
use shared::cache::redis::RedisTaskCache;
use shared::config::CacheConfig;
use testkit::cache::memory::InMemoryTaskCache;

use crate::certificates::Authority;
use crate::redis_cluster_servers::RedisCluster;
use crate::redis_server::{RedisServer, until_up};

async fn in_memory() -> (Arc<dyn TaskCache>, ()) {
    (Arc::new(InMemoryTaskCache::new()), ())
}

async fn in_redis() -> (Arc<dyn TaskCache>, RedisServer) {
    let (cache, server) = RedisServer::start_with_cache().await;
    (Arc::new(cache), server)
}

/// A cluster with a connected cache.
struct InCluster {
    cluster: RedisCluster,
    cache: Arc<RedisTaskCache>,
}

impl InCluster {
    async fn start(cluster: RedisCluster, config: &CacheConfig) -> Self {
        let cache = Arc::new(RedisTaskCache::new(config).unwrap());
        until_up(&cache).await;
        Self { cluster, cache }
    }

    async fn emptied(&self) -> Arc<dyn TaskCache> {
        for master in self.cluster.masters() {
            master.run::<()>(&["FLUSHALL"]).await;
        }
        self.cache.clone()
    }
}

async fn in_cluster() -> InCluster {
    let cluster = RedisCluster::start().await;
    let config = cluster.config();
    InCluster::start(cluster, &config).await
}

/// A cluster as in ElastiCache: over TLS, with the user that template.yaml creates.
async fn in_cluster_over_tls() -> InCluster {
    let cluster = RedisCluster::start_with_tls(&Authority::new()).await;
    let config = cluster.config();
    InCluster::start(cluster, &config).await
}

mod memory {
    testkit::cache_conformance!(super::in_memory);
}

mod redis {
    testkit::cache_conformance!(super::in_redis);
}

mod cluster {
    testkit::cache_conformance!(in_turn super::in_cluster);
}

mod cluster_over_tls {
    testkit::cache_conformance!(in_turn super::in_cluster_over_tls);
}
