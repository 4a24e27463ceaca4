//! The conformance suite on each cache.

use std::sync::Arc;

use shared::cache::TaskCache;
use shared::cache::memory::InMemoryTaskCache;

use crate::redis_server::RedisServer;

async fn in_memory() -> (Arc<dyn TaskCache>, ()) {
    (Arc::new(InMemoryTaskCache::new()), ())
}

async fn in_redis() -> (Arc<dyn TaskCache>, RedisServer) {
    let (cache, server) = RedisServer::start_with_cache().await;
    (Arc::new(cache), server)
}

mod memory {
    shared::cache_conformance!(super::in_memory);
}

mod redis {
    shared::cache_conformance!(super::in_redis);
}
