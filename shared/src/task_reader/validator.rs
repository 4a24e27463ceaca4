//! What tells whether an answer is still the one that a client has.

use std::fmt;

use xxhash_rust::xxh3::xxh3_64;

use crate::model::{Revision, Timestamp};

/// A short text that is another whenever the answer is: what HTTP calls an entity tag.
///
/// There are three forms. That of a task or a project begins with its revision. A page that was read while the cache knew of
/// no later write names the cache's generation and until when it stays true if nothing is written: so that
/// it can be found unchanged without reading the page. All others are made of the answer's bytes alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validator(String);

impl Validator {
    /// That of any answer.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self(format!("{:016x}", xxh3_64(bytes)))
    }

    /// That of the bytes of a task or a project, of which only the revision is looked for.
    pub fn of_record(bytes: &[u8]) -> Self {
        match revision_in(bytes) {
            Some(revision) => Self(format!("{revision}-{:016x}", xxh3_64(bytes))),
            None => Self::of_bytes(bytes),
        }
    }

    /// That of the page kept under `key`.
    pub(super) fn of_page(key: &str, generation: u64, true_until: Timestamp) -> Self {
        let until = true_until.as_millis();
        Self(format!(
            "g{generation}-{until}-{:016x}",
            xxh3_64(key.as_bytes())
        ))
    }

    /// The generation for which this is the validator of the page under `key`, if it still tells anything
    /// at `now`.
    pub(super) fn page_generation(&self, key: &str, now: Timestamp) -> Option<u64> {
        let mut fields = self.0.strip_prefix('g')?.split('-');
        let generation = fields.next()?.parse().ok()?;
        let until = Timestamp::from_millis(fields.next()?.parse().ok()?);
        (now < until && *self == Self::of_page(key, generation, until)).then_some(generation)
    }

    /// The revision of the task or project that this is a validator of, if it is one of these.
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
    /// A validator that someone says they have; it may be none of ours.
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for Validator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The revision in the JSON of a task or a project. The first member of that name is its own: what comes before it are
/// texts, in which quotes are escaped, and parts, whose values are no numbers.
fn revision_in(bytes: &[u8]) -> Option<u64> {
    const MEMBER: &[u8] = br#","revision":"#;
    let mut rest = bytes;
    loop {
        let found = memchr::memmem::find(rest, MEMBER)?;
        rest = rest.get(found + MEMBER.len()..)?;
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit());
        let digits = rest.get(..digits.count())?;
        if !digits.is_empty() {
            return str::from_utf8(digits).ok()?.parse().ok();
        }
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
    fn a_task_is_known_by_its_revision() {
        let check = |json: &str, expected: Option<u64>| {
            let validator = Validator::of_record(json.as_bytes());
            assert_eq!(validator.revision(), expected.map(Revision), "{json}");
        };
        check(r#"{"task_id":"a","run":"r","revision":12,"x":1}"#, Some(12));
        check(
            r#"{"task_id":"a","message":",\"revision\":9","revision":3}"#,
            Some(3),
        );
        check(
            r#"{"task_id":"a","parts":{"b":{},"revision":{"current":1}},"run":"r","revision":4}"#,
            Some(4),
        );
        check(r#"{"task_id":"a"}"#, None);
        check(r#"{"task_id":"a","revision":}"#, None);
        check(r#"{"task_id":"a","revision":99999999999999999999}"#, None);
        let (one, other) = (br#"{"revision":1}"#, br#"{"revision":1,"stale":true}"#);
        assert_ne!(Validator::of_record(one), Validator::of_record(other));
    }
}
