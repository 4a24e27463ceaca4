//! Runs the conformance suite on each store.

use std::sync::Arc;

use shared::model::RecordId;
use testkit::checkpoint::InMemoryCheckpointStore;
use testkit::embedded_dynamodb::EmbeddedDynamoDb;
use testkit::embedded_dynamodb::Stores;
use testkit::store::conformance::metrics_equal_a_recount;
use testkit::store::memory::InMemoryStore;

use crate::dynamodb_items::delete_head;

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

/// `RECOUNT_OPERATIONS` runs more.
fn operations(default: u64) -> u64 {
    let operations = std::env::var("RECOUNT_OPERATIONS");
    let operations = operations
        .ok()
        .and_then(|operations| operations.parse().ok());
    operations.unwrap_or(default)
}

#[tokio::test]
async fn metrics_equal_a_recount_in_memory() {
    let store = Arc::new(InMemoryStore::new());
    let stores = Stores {
        tasks: store.clone(),
        projects: store.clone(),
        checkpoints: Arc::new(InMemoryCheckpointStore::new()),
    };
    let expire = async |id: &RecordId| drop(store.expire(id));
    metrics_equal_a_recount(stores, operations(10_000), expire).await;
}

#[tokio::test]
async fn metrics_equal_a_recount_in_dynamodb() {
    let embedded = EmbeddedDynamoDb::start().await.unwrap();
    let expire = async |id: &RecordId| delete_head(&embedded, id).await;
    metrics_equal_a_recount(embedded.stores(), operations(300), expire).await;
}
