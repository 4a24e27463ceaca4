//! The values under the key of a task, and what they mean.
//!
//! | value | meaning |
//! | --- | --- |
//! | `{"task_id":"…",…,"revision":7,…}` | the run as the API shows it |
//! | `{"deleted":true,"revision":8}` | a mark: the run was deleted |

use serde::Deserialize;

use crate::model::{RecordId, Revision};

/// The result of looking up a task in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheLookup {
    /// The cache has no value for the task.
    Miss,
    /// The cache has the task.
    Task {
        /// The revision of the task.
        revision: Revision,
        /// The task as the API shows it.
        json: Vec<u8>,
    },
    /// The task was deleted a short time ago.
    Deleted {
        /// One more than the last revision of the task.
        revision: Revision,
    },
    /// The value is neither this task nor a mark of its deletion.
    Invalid,
}

/// The members of a value that decide its meaning.
#[derive(Deserialize)]
struct Header<'a> {
    #[serde(borrow)]
    task_id: Option<&'a str>,
    #[serde(borrow)]
    run_id: Option<&'a str>,
    revision: u64,
    #[serde(default)]
    deleted: bool,
}

impl CacheLookup {
    /// Parses the value that a cache holds under `id`; `None` is a miss.
    pub fn parse(id: &RecordId, value: Option<Vec<u8>>) -> Self {
        let Some(json) = value else {
            return Self::Miss;
        };
        let Ok(header) = serde_json::from_slice::<Header<'_>>(&json) else {
            return Self::Invalid;
        };
        let revision = Revision(header.revision);
        let shown = match id {
            RecordId::Newest(_) => header.task_id,
            RecordId::Run(_) => header.run_id,
        };
        match (shown, header.deleted) {
            (Some(shown), false) if shown == id.to_string() => Self::Task { revision, json },
            (None, true) => Self::Deleted { revision },
            _ => Self::Invalid,
        }
    }

    /// The revision of the task, or of the mark of its deletion.
    pub fn revision(&self) -> Option<Revision> {
        match self {
            Self::Task { revision, .. } | Self::Deleted { revision } => Some(*revision),
            Self::Miss | Self::Invalid => None,
        }
    }

    /// The task's JSON; `None` unless the cache has the task.
    pub fn into_json(self) -> Option<Vec<u8>> {
        match self {
            Self::Task { json, .. } => Some(json),
            Self::Miss | Self::Deleted { .. } | Self::Invalid => None,
        }
    }
}

/// The value that marks a task as deleted. Its revision keeps a slow reader from putting the
/// task back.
pub(crate) fn deletion_mark(revision: Revision) -> Vec<u8> {
    format!(r#"{{"deleted":true,"revision":{revision}}}"#).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(value: &str) -> CacheLookup {
        CacheLookup::parse(&"a".parse().unwrap(), Some(value.into()))
    }

    #[test]
    fn a_task_is_known_by_its_id_and_has_its_own_revision() {
        for (json, revision) in [
            (r#"{"task_id":"a","run":"r","revision":12,"x":1}"#, 12),
            (
                r#"{"task_id":"a","message":",\"revision\":9","revision":3}"#,
                3,
            ),
            (
                r#"{"task_id":"a","parts":{"revision":{"revision":1}},"revision":4}"#,
                4,
            ),
        ] {
            let expected = CacheLookup::Task {
                revision: Revision(revision),
                json: json.into(),
            };
            assert_eq!(parse(json), expected);
        }
    }

    #[test]
    fn a_mark_of_deletion_is_no_task() {
        let mark = deletion_mark(Revision(8));
        assert_eq!(mark, br#"{"deleted":true,"revision":8}"#);
        let lookup = CacheLookup::parse(&"a".parse().unwrap(), Some(mark));
        let revision = Revision(8);
        assert_eq!(lookup, CacheLookup::Deleted { revision });
        assert_eq!(lookup.into_json(), None);
    }

    #[test]
    fn every_other_value_is_invalid() {
        for value in [
            "",
            "null",
            "[1]",
            r#"{"task_id":"a""#,
            r#"{"task_id":"a"}"#,
            r#"{"task_id":"b","revision":1}"#,
            r#"{"revision":1}"#,
            r#"{"task_id":"a","revision":}"#,
            r#"{"task_id":"a","revision":"1"}"#,
            r#"{"task_id":"a","revision":-1}"#,
            r#"{"task_id":"a","revision":99999999999999999999}"#,
            r#"{"task_id":"a","revision":1,"deleted":true}"#,
        ] {
            assert_eq!(parse(value), CacheLookup::Invalid, "{value}");
        }
        let not_utf8 = Some(b"\xff\xfe".to_vec());
        let lookup = CacheLookup::parse(&"a".parse().unwrap(), not_utf8);
        assert_eq!(lookup, CacheLookup::Invalid);
        let lookup = CacheLookup::parse(&"a".parse().unwrap(), None);
        assert_eq!(lookup, CacheLookup::Miss);
    }
}
