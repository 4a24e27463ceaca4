//! Where a sweep has read up to.

pub mod dynamodb;
#[cfg(any(test, feature = "test-util"))]
pub mod memory;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::model::Timestamp;
use crate::store::StoreError;

/// How far one source (a log group) has been read. The next sweep starts here, less an overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Every event up to this moment was read and what it says is saved.
    pub read_up_to: Timestamp,
    /// When the checkpoint was saved.
    pub saved_at: Timestamp,
}

/// Keeps checkpoints.
#[async_trait]
pub trait CheckpointStore: Send + Sync {
    /// The checkpoint of `source`; `None` if it was never read.
    async fn load(&self, source: &str) -> Result<Option<Checkpoint>, StoreError>;

    /// Keeps a checkpoint, unless a later one is held: of two collectors the one that is ahead wins.
    async fn save(&self, source: &str, checkpoint: Checkpoint) -> Result<(), StoreError>;
}
