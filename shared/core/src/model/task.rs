//! The task: one run of a deploy or of an agent, and how far it is.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ProjectId, Revision, TaskId, Timestamp};

/// The longest `task_name`, in characters.
pub const MAX_NAME_CHARS: usize = 256;
/// The longest `message`, in bytes of UTF-8.
pub const MAX_MESSAGE_BYTES: usize = 1024;
/// The largest `metadata`, in bytes of JSON.
pub const MAX_METADATA_BYTES: usize = 4096;

/// A word that is none of the values a field may have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be one of {expected}")]
pub struct UnknownValue {
    /// The values the field may have, separated by commas.
    pub expected: &'static str,
}

/// An enum whose variants have one name each, in JSON, in the database and in a query.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $text)] $variant,)+
        }

        impl $name {
            /// All values, in the order of their declaration.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The name of this value on the wire.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }

        impl FromStr for $name {
            type Err = UnknownValue;

            fn from_str(text: &str) -> Result<Self, UnknownValue> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(UnknownValue { expected: $crate::model::task::join!($($text),+) }),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(self.as_str())
            }
        }
    };
}

macro_rules! join {
    ($first:literal $(, $rest:literal)*) => {
        concat!($first $(, ", ", $rest)*)
    };
}
pub(crate) use {join, named};

named! {
    /// What kind of work a task is.
    TaskType {
        /// A run of the CDK command line: deploy, destroy, import, bootstrap and the like.
        CdkDeploy = "cdk_deploy",
        /// A run of an automation agent.
        AgentExecution = "agent_execution",
        /// A build.
        Build = "build",
        /// Anything else.
        Other = "other",
    }
}

named! {
    /// Where a task, or a part of one, stands.
    TaskStatus {
        /// Made, not begun.
        Pending = "pending",
        /// Under way.
        Running = "running",
        /// Waiting for something or someone.
        Blocked = "blocked",
        /// Ended well.
        Completed = "completed",
        /// Ended badly.
        Failed = "failed",
        /// Ended by decision.
        Cancelled = "cancelled",
    }
}

impl TaskStatus {
    /// Whether only a new run leaves this status.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    /// Whether a task of this status may become one of status `next` within its run: what has ended stays
    /// so, and what has begun is not pending again, unless it was blocked.
    pub fn may_become(self, next: Self) -> bool {
        match self {
            _ if self == next => true,
            Self::Pending | Self::Blocked => true,
            Self::Running => next != Self::Pending,
            Self::Completed | Self::Failed | Self::Cancelled => false,
        }
    }
}

named! {
    /// How urgent a task is, `P0` first.
    Priority {
        /// Before all else.
        P0 = "P0",
        /// High.
        P1 = "P1",
        /// Normal.
        P2 = "P2",
        /// When there is time.
        P3 = "P3",
    }
}

/// How far something is. What is not known is `null` on the wire.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// Steps done, as last printed. May exceed `total`: CloudFormation's total is an estimate.
    #[serde(default)]
    pub current: Option<u64>,
    /// Steps in all.
    #[serde(default)]
    pub total: Option<u64>,
    /// 0 to 100, rounded down; 100 only once completed, and never falling while a run goes forward.
    #[serde(default)]
    pub percentage: Option<u8>,
}

impl Progress {
    /// How much is done, in thousandths, below 1000; `None` while it is unknown or nothing is left.
    fn done_per_mille(&self) -> Option<u64> {
        let exact = match (self.current, self.total) {
            (Some(current), Some(total)) if total > 0 => {
                let done = u128::from(current) * 1000 / u128::from(total);
                u64::try_from(done).ok()
            }
            _ => self.percentage.map(|percentage| u64::from(percentage) * 10),
        };
        exact.filter(|done| *done < 1000)
    }
}

/// One stack of a CDK run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// How far the stack is.
    #[serde(flatten)]
    pub progress: Progress,
    /// Where the stack stands.
    pub status: TaskStatus,
    /// What is being done: `deploying`, `rolling_back`, `rolled_back`, `destroying`, …
    #[serde(default)]
    pub phase: Option<String>,
    /// The last line that mattered; the reason, when failed.
    #[serde(default)]
    pub message: Option<String>,
    /// When its latest run began, by the log; `None` in tasks stored before this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When that run ended; `None` while it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
}

/// A task's present state. Fields that are absent are left out on the wire, but for `progress`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// The identity, given by the caller, the log, or a UUID.
    pub task_id: TaskId,
    /// The name for people, at most [`MAX_NAME_CHARS`] characters.
    pub task_name: String,
    /// What kind of work it is.
    pub task_type: TaskType,
    /// Where it stands.
    pub status: TaskStatus,
    /// How urgent it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// How far it is.
    pub progress: Progress,
    /// The stacks of a CDK run, by name; empty for an agent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<String, Part>,
    /// Which run this is: the moment it started, as RFC 3339. Later runs sort after earlier ones.
    pub run: String,
    /// How often the task was written.
    pub revision: Revision,
    /// The project it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<ProjectId>,
    /// The last line that mattered; the reason, when failed. At most [`MAX_MESSAGE_BYTES`] bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What is being done, in the words of the design or of the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// The step an agent says it is at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_step: Option<String>,
    /// The log group it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_group: Option<String>,
    /// The log stream it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_stream: Option<String>,
    /// When it was first heard of.
    pub created_at: Timestamp,
    /// When its present run started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// The time of the last event that changed it.
    pub updated_at: Timestamp,
    /// When its present run ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// Milliseconds from the start to the end, or to the last event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// How long runs like this one usually take, in milliseconds: known when it began, from earlier runs of the
    /// same type and name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usual_duration_ms: Option<u64>,
    /// The caller's own object, at most [`MAX_METADATA_BYTES`] bytes of JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<serde_json::Map<String, serde_json::Value>>,
}

impl Task {
    /// Whether the task is running and has been silent for longer than `stale_after_ms`.
    pub fn is_stale(&self, now: Timestamp, stale_after_ms: u64) -> bool {
        self.status == TaskStatus::Running && now.millis_since(self.updated_at) > stale_after_ms
    }

    /// When the run will end if it goes on as it did up to its last event, and as earlier runs have; `None`
    /// while that can't be told.
    ///
    /// Its own pace counts by how much of it is done, and earlier runs count for the rest: at the beginning a
    /// run tells little of itself. Without earlier runs it must have come some way first.
    pub fn eta(&self) -> Option<Timestamp> {
        if self.status != TaskStatus::Running {
            return None;
        }
        let spent_ms = self.updated_at.millis_since(self.started_at?);
        let own_ms = self.progress.done_per_mille().and_then(|done| {
            let rest = u128::from(spent_ms) * u128::from(1000 - done);
            rest.checked_div(u128::from(done))
        });
        // What takes longer than usual tells nothing of how much longer.
        let usual_ms = self
            .usual_duration_ms
            .and_then(|usual_ms| usual_ms.checked_sub(spent_ms))
            .map(u128::from);
        let done = self.progress.done_per_mille().unwrap_or(0);
        let left_ms = match (own_ms, usual_ms) {
            (Some(own_ms), Some(usual_ms)) => {
                let done = u128::from(done);
                (own_ms.saturating_mul(done) + usual_ms.saturating_mul(1000 - done)) / 1000
            }
            (Some(own_ms), None) => {
                let tells = done >= LEAST_DONE_PER_MILLE && spent_ms >= LEAST_SPENT_MS;
                tells.then_some(own_ms)?
            }
            (None, usual_ms) => usual_ms?,
        };
        let left_ms = u64::try_from(left_ms)
            .ok()
            .filter(|left| *left <= MOST_LEFT_MS)?;
        Some(self.updated_at.after(Duration::from_millis(left_ms)))
    }
}

/// How much must be done, in thousandths, before a run's own pace tells when it ends.
const LEAST_DONE_PER_MILLE: u64 = 100;
/// How long a run must have taken before that, in milliseconds.
const LEAST_SPENT_MS: u64 = 5_000;
/// An end that is further away than this, in milliseconds, is a guess: 7 days.
const MOST_LEFT_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// One change of a task's progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// When it changed.
    pub timestamp: Timestamp,
    /// The run it belongs to.
    pub run: String,
    /// The revision that made the change.
    pub revision: Revision,
    /// Where the task stood from then on.
    pub status: TaskStatus,
    /// How far it was.
    pub progress: Progress,
    /// What was being done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// The line that mattered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl HistoryEntry {
    /// The entry that a write of `next` adds to its history, or `None` if no progress was made since
    /// `previous`.
    pub fn of_change(previous: Option<&Task>, next: &Task) -> Option<Self> {
        let shown = |task: &Task| {
            (
                task.run.clone(),
                task.status,
                task.progress,
                task.phase.clone(),
            )
        };
        if previous.is_some_and(|previous| shown(previous) == shown(next)) {
            return None;
        }
        Some(Self {
            timestamp: next.updated_at,
            run: next.run.clone(),
            revision: next.revision,
            status: next.status,
            progress: next.progress,
            phase: next.phase.clone(),
            message: next.message.clone(),
        })
    }
}
