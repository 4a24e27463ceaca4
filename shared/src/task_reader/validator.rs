//! Validators: they show whether a client's copy of a representation is current.

use std::fmt;

use serde::Deserialize;
use xxhash_rust::xxh3::xxh3_64;

use crate::model::{Revision, Timestamp};

/// A short text that changes whenever the representation changes: an HTTP entity tag.
///
/// | of | text |
/// | --- | --- |
/// | a task or project | `{revision}-{hash of the bytes}` |
/// | a page that misses no write | `g{generation}-{true until, in ms}-{hash of the page's key}` |
/// | anything else | `{hash of the bytes}` |
///
/// The second form shows that a page is unchanged without reading the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validator(String);

impl Validator {
    /// The validator of any bytes.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self(format!("{:016x}", xxh3_64(bytes)))
    }

    /// The validator of a task or project of this revision.
    pub fn of_revision(revision: Revision, bytes: &[u8]) -> Self {
        Self(format!("{revision}-{:016x}", xxh3_64(bytes)))
    }

    /// The validator of a task or project, with the revision that its JSON has.
    pub fn of_record(json: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Header {
            revision: u64,
        }
        match serde_json::from_slice(json) {
            Ok(Header { revision }) => Self::of_revision(Revision(revision), json),
            Err(_) => Self::of_bytes(json),
        }
    }

    /// The validator of the page under `key`. It holds until `true_until` if nothing is written.
    pub(super) fn of_page(key: &str, generation: u64, true_until: Timestamp) -> Self {
        let until = true_until.as_millis();
        Self(format!(
            "g{generation}-{until}-{:016x}",
            xxh3_64(key.as_bytes())
        ))
    }

    /// The generation of the page under `key`; `None` if this is no validator of that page, or if
    /// it no longer holds at `now`.
    pub(super) fn page_generation(&self, key: &str, now: Timestamp) -> Option<u64> {
        let (generation, until) = self.parse_page(key)?;
        (now < until).then_some(generation)
    }

    /// Whether this is a validator of the page under `key` with these bytes.
    pub(super) fn is_of_page(&self, key: &str, bytes: &[u8]) -> bool {
        self.parse_page(key).is_some() || *self == Self::of_bytes(bytes)
    }

    /// The generation and the time of a validator of the page under `key`.
    fn parse_page(&self, key: &str) -> Option<(u64, Timestamp)> {
        let mut fields = self.0.strip_prefix('g')?.split('-');
        let generation = fields.next()?.parse().ok()?;
        let until = Timestamp::from_millis(fields.next()?.parse().ok()?);
        (*self == Self::of_page(key, generation, until)).then_some((generation, until))
    }

    /// The revision of the task or project; `None` for other validators.
    pub fn revision(&self) -> Option<Revision> {
        let (revision, _) = self.0.split_once('-')?;
        revision.parse().ok().map(Revision)
    }

    /// The validator as text: letters, digits and hyphens.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Validator {
    /// A validator that a client sent. It may be none of ours.
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for Validator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn a_page_is_known_by_its_key_generation_and_time() {
        let validator = Validator::of_page("tasks?limit=1", 7, at(1000));
        assert_eq!(validator.page_generation("tasks?limit=1", at(999)), Some(7));
        assert_eq!(validator.page_generation("tasks?limit=1", at(1000)), None);
        assert_eq!(validator.page_generation("tasks?limit=2", at(0)), None);
        for other in ["", "g", "g7", "g7-1000", "g7-1000-0", "7-1000", "gx-y-z"] {
            let other = Validator::from(other.to_owned());
            assert_eq!(other.page_generation("tasks?limit=1", at(0)), None);
        }
    }

    #[test]
    fn a_task_is_known_by_its_revision_and_bytes() {
        let json = br#"{"task_id":"a","revision":12}"#;
        let validator = Validator::of_record(json);
        assert_eq!(validator.revision(), Some(Revision(12)));
        assert_eq!(validator, Validator::of_revision(Revision(12), json));
        let stale = br#"{"task_id":"a","revision":12,"stale":true}"#;
        assert_ne!(validator, Validator::of_record(stale));
        assert_ne!(validator, Validator::of_revision(Revision(13), json));
        let without_revision = Validator::of_record(br#"{"task_id":"a"}"#);
        assert_eq!(without_revision.revision(), None);
    }
}
