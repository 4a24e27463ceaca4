//! Sources of objects: logs that were stored whole.

mod s3;

pub use s3::S3ObjectSource;

use async_trait::async_trait;
use futures::stream::BoxStream;

use crate::error::Source;
use crate::model::Timestamp;

/// Names an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectName {
    /// The bucket.
    pub bucket: String,
    /// The key, decoded.
    pub key: String,
    /// The version, if the bucket keeps versions.
    pub version: Option<String>,
}

/// An object that is being read.
pub struct Object {
    /// When it was stored.
    pub modified: Timestamp,
    /// Its content, part by part.
    pub body: BoxStream<'static, Result<Vec<u8>, Source>>,
}

/// Why an object can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// It does not exist any more.
    #[error("the object {key} does not exist in {bucket}")]
    NotFound {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
    },
    /// Throttled, cut off, or failed inside. A later attempt may succeed.
    #[error("the object {key} in {bucket} can't be read now")]
    Unavailable {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
        /// The cause.
        #[source]
        source: Source,
    },
    /// The request or the caller was refused. Another attempt will not help.
    #[error("reading the object {key} in {bucket} was refused")]
    Refused {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
        /// The cause.
        #[source]
        source: Source,
    },
}

impl ObjectError {
    /// The error of a reading of `name` that failed for now.
    pub fn unavailable(name: &ObjectName, source: impl Into<Source>) -> Self {
        let ObjectName { bucket, key, .. } = name.clone();
        let source = source.into();
        Self::Unavailable {
            bucket,
            key,
            source,
        }
    }
}

/// Reads objects.
#[async_trait]
pub trait ObjectSource: Send + Sync {
    /// Begins to read an object.
    ///
    /// # Errors
    ///
    /// [`ObjectError`]. While the body is read, the connection may fail, too.
    async fn open(&self, name: &ObjectName) -> Result<Object, ObjectError>;
}
