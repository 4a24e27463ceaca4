//! Runs the conformance suite on each store.

use std::sync::Arc;

use testkit::checkpoint::InMemoryCheckpointStore;
use testkit::embedded_dynamodb::EmbeddedDynamoDb;
use testkit::embedded_dynamodb::Stores;
use testkit::store::memory::InMemoryStore;

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
    testkit::store_conformance!(super::in_memory);
}

mod dynamodb {
    testkit::store_conformance!(super::in_dynamodb);
}
