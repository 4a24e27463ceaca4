//! An object source in memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use futures::stream::{self, StreamExt as _};
use shared::model::Timestamp;
use shared::object_source::{Object, ObjectError, ObjectName, ObjectSource};

/// The size of the parts in which an object is read.
const PART_BYTES: usize = 1000;

/// Objects in memory, by bucket and key.
#[derive(Debug, Default)]
pub struct InMemoryObjectSource {
    objects: Mutex<BTreeMap<(String, String), Stored>>,
}

/// When an object was stored, and its content.
type Stored = (Timestamp, Vec<u8>);

impl InMemoryObjectSource {
    /// Stores an object at the time `modified`.
    pub fn put(&self, bucket: &str, key: &str, modified: Timestamp, content: impl Into<Vec<u8>>) {
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        let name = (bucket.to_owned(), key.to_owned());
        objects.insert(name, (modified, content.into()));
    }
}

#[async_trait]
impl ObjectSource for InMemoryObjectSource {
    async fn open(&self, name: &ObjectName) -> Result<Object, ObjectError> {
        let ObjectName { bucket, key, .. } = name.clone();
        let objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        let stored = objects.get(&(bucket.clone(), key.clone())).cloned();
        let (modified, content) = stored.ok_or(ObjectError::NotFound { bucket, key })?;
        let parts: Vec<_> = content
            .chunks(PART_BYTES)
            .map(|part| Ok(part.to_vec()))
            .collect();
        let body = stream::iter(parts).boxed();
        Ok(Object { modified, body })
    }
}
