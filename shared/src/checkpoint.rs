//! Where a sweep has read up to.

pub mod dynamodb;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::model::Timestamp;
use crate::store::StoreError;

/// How far one source (a log group) has been read. The next sweep goes on where one was interrupted, or else
/// starts here, less an overlap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Every event up to this moment was read and what it says is saved. Before the first window was read to its
    /// end: where that window starts.
    pub read_up_to: Timestamp,
    /// When the checkpoint was saved.
    pub saved_at: Timestamp,
    /// The window that was begun and is not read to its end yet, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<Resume>,
}

/// Where a window goes on whose reading was interrupted: all that comes before was read and is saved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    /// The first moment of the window.
    pub start: Timestamp,
    /// The last moment of the window, included.
    pub end: Timestamp,
    /// The source's token of the next page, as of when the checkpoint was saved. It may be refused: sources
    /// forget their tokens.
    pub next_token: String,
}

/// Keeps checkpoints.
#[async_trait]
pub trait CheckpointStore: Send + Sync {
    /// The checkpoint of `source`; `None` if it was never read.
    async fn load(&self, source: &str) -> Result<Option<Checkpoint>, StoreError>;

    /// Keeps a checkpoint, unless a later one is held: of two collectors the one that is ahead wins, and of two
    /// that are equally far the last, with what it says (or does not say) of an unfinished window.
    async fn save(&self, source: &str, checkpoint: Checkpoint) -> Result<(), StoreError>;
}
