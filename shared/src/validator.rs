//! Validators: they show whether a client's copy of a representation is current.

use std::fmt;

use serde::Deserialize;
use xxhash_rust::xxh3::xxh3_64;

use crate::model::Revision;

/// A short text that changes whenever the representation changes: an HTTP entity tag.
///
/// | of | text |
/// | --- | --- |
/// | a task or project | `{revision}-{hash of the bytes}` |
/// | anything else | `{hash of the bytes}` |
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validator(String);

impl Validator {
    /// The validator of any bytes.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self(hash(bytes))
    }

    /// The validator of a task or project of this revision.
    pub fn of_revision(revision: Revision, bytes: &[u8]) -> Self {
        Self(format!("{revision}-{}", hash(bytes)))
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

    /// Whether `bytes` are those that this is the validator of, whatever their revision.
    pub fn is_of(&self, bytes: &[u8]) -> bool {
        let hashed = self.0.rsplit('-').next();
        hashed == Some(hash(bytes).as_str())
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

fn hash(bytes: &[u8]) -> String {
    format!("{:016x}", xxh3_64(bytes))
}

impl From<String> for Validator {
    /// A validator that a client sent or a cache holds. It may be none of ours.
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

    #[test]
    fn a_validator_is_of_its_own_bytes_alone() {
        for validator in [
            Validator::of_bytes(b"[]"),
            Validator::of_revision(Revision(7), b"[]"),
        ] {
            assert!(validator.is_of(b"[]"), "{validator}");
            assert!(!validator.is_of(b"[ ]") && !validator.is_of(b""));
        }
        for other in ["", "-", "7-", "W/x"] {
            assert!(!Validator::from(other.to_owned()).is_of(b"[]"), "{other}");
        }
    }
}
