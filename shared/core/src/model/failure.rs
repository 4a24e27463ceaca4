//! Why a run failed.

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// The longest `cause`, and the longest line of `context`, in bytes of UTF-8.
pub const MAX_CAUSE_BYTES: usize = 512;
/// The longest name in a [`Failure`], in bytes of UTF-8.
pub const MAX_FAILURE_NAME_BYTES: usize = 256;

/// Why a run failed, or why it rolls back: the first cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What went wrong, as the log says it. At most [`MAX_CAUSE_BYTES`] bytes.
    pub cause: String,
    /// The resource that failed: its logical id, or the name that CDK prints. At most
    /// [`MAX_FAILURE_NAME_BYTES`] bytes, as the type and the part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// The type of that resource: `AWS::SQS::Queue`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_type: Option<String>,
    /// The part that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// The lines before the first line that reports the failure, oldest first: at most 5. Lists do
    /// not have them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub context: Vec<String>,
    /// When the log or a caller says it.
    pub at: Timestamp,
}

impl Failure {
    /// A failure of which only the cause is known.
    pub fn new(cause: String, at: Timestamp) -> Self {
        Self {
            cause,
            resource: None,
            resource_type: None,
            part: None,
            context: Vec::new(),
            at,
        }
    }

    /// The failure as lists show it: without the lines before it.
    #[must_use]
    pub fn listed(&self) -> Self {
        Self {
            context: Vec::new(),
            ..self.clone()
        }
    }
}
