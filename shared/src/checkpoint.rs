//! Checkpoints: up to when a sweep has read each log group.

pub mod dynamodb;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::model::Timestamp;
use crate::store::error::StoreError;

/// How far a sweep has read one source (a log group). The next sweep resumes an interrupted window,
/// or else starts at `read_up_to` less an overlap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// All events up to this time were read, and their tasks are saved. Before the first window is
    /// complete, this is the start of that window.
    pub read_up_to: Timestamp,
    /// When the checkpoint was saved.
    pub saved_at: Timestamp,
    /// An unfinished window; `None` if the last window is complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<Resume>,
}

/// Where to resume an interrupted window. Everything before was read and saved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    /// The first moment of the window.
    pub start: Timestamp,
    /// The last moment of the window, included.
    pub end: Timestamp,
    /// The source's token of the next page when the checkpoint was saved. The source may reject it,
    /// because tokens expire.
    pub next_token: String,
}

/// Stores checkpoints.
#[async_trait]
pub trait CheckpointStore: Send + Sync {
    /// Loads the checkpoint of `source`; `None` if `source` was never read.
    async fn load(&self, source: &str) -> Result<Option<Checkpoint>, StoreError>;

    /// Saves a checkpoint, unless a later one is stored. Of two collectors the one that is ahead
    /// wins. If both are equally far, the last one wins, including its unfinished window or the
    /// lack of one.
    async fn save(&self, source: &str, checkpoint: Checkpoint) -> Result<(), StoreError>;
}
