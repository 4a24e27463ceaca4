//! The conformance suite on each store.

use std::sync::Arc;

use shared::checkpoint::memory::InMemoryCheckpointStore;
use shared::store::conformance::Stores;
use shared::store::embedded::EmbeddedDynamoDb;
use shared::store::memory::InMemoryStore;

async fn in_memory() -> (Stores, ()) {
    let store = Arc::new(InMemoryStore::new());
    let stores = Stores {
        tasks: store.clone(),
        projects: store,
        checkpoints: Arc::new(InMemoryCheckpointStore::new()),
    };
    (stores, ())
}

async fn in_dynamodb() -> (Stores, EmbeddedDynamoDb) {
    let embedded = EmbeddedDynamoDb::start().await.unwrap();
    (embedded.stores(), embedded)
}

mod memory {
    shared::store_conformance!(super::in_memory);
}

mod dynamodb {
    shared::store_conformance!(super::in_dynamodb);
}
