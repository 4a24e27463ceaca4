//! The errors of stores, by what the caller can do.

use crate::error::Source;

/// An error of a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store can't be reached, is throttled, denies access, or failed inside. A later attempt may
    /// succeed.
    #[error("the store is unavailable during {operation}")]
    Unavailable {
        /// The operation that failed.
        operation: &'static str,
        /// The store's own error.
        #[source]
        source: Source,
    },
    /// Another writer was faster. The caller must read again and decide again.
    #[error("{0} was changed by another writer")]
    Conflict(String),
    /// The store refused the request. Another attempt will not help.
    #[error("the store refused {operation}")]
    Refused {
        /// The operation that failed.
        operation: &'static str,
        /// The store's own error.
        #[source]
        source: Source,
    },
    /// A stored item can't be read.
    #[error("the stored item of {id} is not valid")]
    Corrupt {
        /// The task or project.
        id: String,
        /// The fault in the item.
        #[source]
        source: Source,
    },
}
