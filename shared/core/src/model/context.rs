//! Where a run was started.

use serde::{Deserialize, Serialize};

/// The most characters of a field of [`Context`].
pub const MAX_CONTEXT_CHARS: usize = 256;

/// Who started a run, and from what. Absent fields are unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Context {
    /// The person or the system that started it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The repository: `shop/website`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// The commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The branch or the tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The pull request: its number or its address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<String>,
    /// The address of the job in the CI system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ci_url: Option<String>,
}

impl Context {
    /// The same with fields of at most [`MAX_CONTEXT_CHARS`] characters, without control characters
    /// and empty fields.
    #[must_use]
    pub fn bounded(self) -> Self {
        let bounded = |field: Option<String>| {
            let field = field?;
            let chars = field.chars().filter(|char| !char.is_control());
            let field: String = chars.take(MAX_CONTEXT_CHARS).collect();
            (!field.is_empty()).then_some(field)
        };
        Self {
            actor: bounded(self.actor),
            repository: bounded(self.repository),
            commit: bounded(self.commit),
            branch: bounded(self.branch),
            pull_request: bounded(self.pull_request),
            ci_url: bounded(self.ci_url),
        }
    }
}
