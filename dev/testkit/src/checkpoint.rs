//! A checkpoint store in memory.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use shared::checkpoint::{Checkpoint, CheckpointStore};
use shared::store::StoreError;

/// A checkpoint store that is lost when it is dropped.
#[derive(Debug, Default)]
pub struct InMemoryCheckpointStore {
    checkpoints: Mutex<HashMap<String, Checkpoint>>,
}

impl InMemoryCheckpointStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl CheckpointStore for InMemoryCheckpointStore {
    async fn load(&self, source: &str) -> Result<Option<Checkpoint>, StoreError> {
        let locked = self.checkpoints.lock();
        let checkpoints = locked.unwrap_or_else(PoisonError::into_inner);
        Ok(checkpoints.get(source).cloned())
    }

    async fn save(&self, source: &str, checkpoint: Checkpoint) -> Result<(), StoreError> {
        let locked = self.checkpoints.lock();
        let mut checkpoints = locked.unwrap_or_else(PoisonError::into_inner);
        let held = checkpoints.get(source);
        if held.is_none_or(|held| held.read_up_to <= checkpoint.read_up_to) {
            checkpoints.insert(source.to_owned(), checkpoint);
        }
        Ok(())
    }
}
