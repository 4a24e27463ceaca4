//! Ids of tasks, runs and projects. Parsing validates them, so every id in memory is valid.

use std::fmt;
use std::str::FromStr;

use chrono::NaiveDateTime;
use serde::{Deserialize, Serialize};

use super::Timestamp;

/// The longest id, in characters (all of which are ASCII).
const MAX_ID_LENGTH: usize = 128;

/// The error for a text that is not a valid id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 128 characters of A-Z, a-z, 0-9, '.', '_', ':' and '-', and not . or ..")]
pub struct InvalidId;

/// Clients of HTTP resolve these segments of a path, also if they are percent-encoded
/// (<https://url.spec.whatwg.org/#double-dot-path-segment>), so no request could name the id.
const RESOLVED_BY_CLIENTS: [&str; 2] = [".", ".."];

fn check(text: &str) -> Result<(), InvalidId> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
    let fits = (1..=MAX_ID_LENGTH).contains(&text.len());
    if fits && text.bytes().all(allowed) && !RESOLVED_BY_CLIENTS.contains(&text) {
        Ok(())
    } else {
        Err(InvalidId)
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Creates a new, unique id: a random UUID.
            pub fn random() -> Self {
                Self(uuid::Uuid::new_v4().to_string())
            }

            /// Returns the id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                check(&text).map(|()| Self(text))
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                check(text).map(|()| Self(text.to_owned()))
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

id! {
    /// The id of a task: 1 to 128 characters of `[A-Za-z0-9._:-]`, and not `.` or `..`.
    TaskId
}

id! {
    /// The id of a project. It has the same form as a [`TaskId`].
    ProjectId
}

/// The time in the id of a run, such as `20261121T093000.123Z`.
const RUN_FORMAT: &str = "%Y%m%dT%H%M%S%.3fZ";

/// The error for a text that is not a valid id of a task or of a run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be the id of a task, or of a run, such as nightly@20261121T093000.123Z")]
pub struct InvalidRecordId;

/// The id of one run of a task: `<task id>@20261121T093000.123Z`, at most 149 characters. It stays
/// the same when later runs begin.
///
/// Runs are ordered by their begin, then by task. Lists have this order, newest first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId {
    /// The run of the task: see [`Task::run`](super::Task::run).
    pub run: Timestamp,
    /// The task.
    pub task_id: TaskId,
}

impl FromStr for RunId {
    type Err = InvalidRecordId;

    fn from_str(text: &str) -> Result<Self, InvalidRecordId> {
        let (task_id, run) = text.split_once('@').ok_or(InvalidRecordId)?;
        let run = NaiveDateTime::parse_from_str(run, RUN_FORMAT).map_err(|_| InvalidRecordId)?;
        let id = Self {
            task_id: task_id.parse().map_err(|_| InvalidRecordId)?,
            run: Timestamp::from(run.and_utc()),
        };
        // One run has one id.
        if id.to_string() == text {
            Ok(id)
        } else {
            Err(InvalidRecordId)
        }
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.run.to_utc();
        write!(formatter, "{}@{}", self.task_id, time.format(RUN_FORMAT))
    }
}

impl TryFrom<String> for RunId {
    type Error = InvalidRecordId;

    fn try_from(text: String) -> Result<Self, InvalidRecordId> {
        text.parse()
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> Self {
        id.to_string()
    }
}

/// The id in a path: that of a task, which stands for its newest run, or that of one run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordId {
    /// The newest run of a task.
    Newest(TaskId),
    /// One run.
    Run(RunId),
}

impl RecordId {
    /// The task.
    pub fn task_id(&self) -> &TaskId {
        match self {
            Self::Newest(task_id) | Self::Run(RunId { task_id, .. }) => task_id,
        }
    }
}

impl From<TaskId> for RecordId {
    fn from(task_id: TaskId) -> Self {
        Self::Newest(task_id)
    }
}

impl From<RunId> for RecordId {
    fn from(run_id: RunId) -> Self {
        Self::Run(run_id)
    }
}

impl FromStr for RecordId {
    type Err = InvalidRecordId;

    fn from_str(text: &str) -> Result<Self, InvalidRecordId> {
        match text.contains('@') {
            true => text.parse().map(Self::Run),
            false => text
                .parse()
                .map(Self::Newest)
                .map_err(|_: InvalidId| InvalidRecordId),
        }
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newest(task_id) => task_id.fmt(formatter),
            Self::Run(run_id) => run_id.fmt(formatter),
        }
    }
}

/// The number of writes of a record. Every write is conditional on the revision that was read.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Revision(pub u64);

impl Revision {
    /// The revision of the next write.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_1_to_128_allowed_characters() {
        for good in [
            "a",
            "task-1",
            "cdk:main.log_2",
            "...",
            ".a",
            &"x".repeat(128),
        ] {
            assert!(good.parse::<TaskId>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "a b",
            "a/b",
            "a#b",
            "ä",
            "\n",
            ".",
            "..",
            &"x".repeat(129),
        ] {
            assert!(bad.parse::<TaskId>().is_err(), "{bad}");
            assert!(bad.parse::<ProjectId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_id_of_a_run_names_the_task_and_the_time() {
        let text = "cdk:shop@20261121T093000.007Z";
        let id: RunId = text.parse().unwrap();
        assert_eq!(id.task_id.as_str(), "cdk:shop");
        assert_eq!(id.run.to_string(), "2026-11-21T09:30:00.007Z");
        assert_eq!(id.to_string(), text);
        assert_eq!(text.parse(), Ok(RecordId::Run(id)));
        let newest = RecordId::Newest("cdk:shop".parse().unwrap());
        assert_eq!("cdk:shop".parse(), Ok(newest));
        for bad in [
            "a@",
            "@20261121T093000.007Z",
            "a@20261121T093000Z",
            "a@20261121T093000.0070Z",
            "a@20261321T093000.007Z",
            "a@b@20261121T093000.007Z",
            "..@20261121T093000.007Z",
            "a@+20261121T093000.007Z",
        ] {
            assert_eq!(bad.parse::<RecordId>(), Err(InvalidRecordId), "{bad}");
        }
        let longest = format!("{}@20261121T093000.007Z", "x".repeat(128));
        assert_eq!(longest.len(), 149);
        assert!(longest.parse::<RunId>().is_ok());
    }
}
