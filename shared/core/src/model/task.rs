//! The task: one deploy or one agent with its progress.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Agent, Context, Failure, ProjectId, RecordId, Revision, RunId, TaskId, Timestamp, TodoItem,
};

/// The longest `task_name`, in characters.
pub const MAX_NAME_CHARS: usize = 256;
/// The longest `message`, in bytes of UTF-8.
pub const MAX_MESSAGE_BYTES: usize = 1024;
/// The largest `metadata`, in bytes of JSON.
pub const MAX_METADATA_BYTES: usize = 4096;
/// The largest `metadata` that lists show, in bytes of JSON.
pub const MAX_LISTED_METADATA_BYTES: usize = 1024;

/// The error for a text that is not one of the allowed values of a field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be one of {expected}")]
pub struct UnknownValue {
    /// The allowed values, separated by commas.
    pub expected: &'static str,
}

/// Defines an enum with one name for each variant: in JSON, in the database and in queries.
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

            /// The name of this value in JSON.
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
    /// The kind of work of a task.
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
    /// The status of a task or of a part.
    TaskStatus {
        /// Created, not started.
        Pending = "pending",
        /// In progress.
        Running = "running",
        /// Waiting for a person or for another system.
        Blocked = "blocked",
        /// Ended successfully.
        Completed = "completed",
        /// Ended with an error.
        Failed = "failed",
        /// Stopped on purpose.
        Cancelled = "cancelled",
        /// Stopped talking, and never said how it went. It counts in no success rate.
        Ended = "ended",
    }
}

impl TaskStatus {
    /// Whether the status is final: only a new run changes it.
    pub fn is_terminal(self) -> bool {
        matches!(
            self,
            Self::Completed | Self::Failed | Self::Cancelled | Self::Ended
        )
    }

    /// Whether a task with this status may change to `next` within the same run.
    ///
    /// | from | may become |
    /// | --- | --- |
    /// | `pending`, `blocked` | any status |
    /// | `running` | any status except `pending` |
    /// | `completed`, `failed`, `cancelled`, `ended` | only itself: terminal states are final |
    pub fn may_become(self, next: Self) -> bool {
        match self {
            _ if self == next => true,
            Self::Pending | Self::Blocked => true,
            Self::Running => next != Self::Pending,
            Self::Completed | Self::Failed | Self::Cancelled | Self::Ended => false,
        }
    }
}

named! {
    /// The priority of a task. `P0` is the most urgent.
    Priority {
        /// Most urgent.
        P0 = "P0",
        /// High.
        P1 = "P1",
        /// Normal.
        P2 = "P2",
        /// Low.
        P3 = "P3",
    }
}

/// The progress of a task or of a part. Unknown fields are `null` in JSON.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// Steps done. In a part as last printed: it may exceed `total`, which CloudFormation only
    /// estimates.
    #[serde(default)]
    pub current: Option<u64>,
    /// The total number of steps.
    #[serde(default)]
    pub total: Option<u64>,
    /// 0 to 100, rounded down; 100 only when completed. That of a run does not fall.
    #[serde(default)]
    pub percentage: Option<u8>,
}

impl Progress {
    /// The share that is done, in thousandths, below 1000; `None` if it is unknown or nothing is
    /// left.
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

/// One stack of a CDK run, or one sub-agent of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its progress.
    #[serde(flatten)]
    pub progress: Progress,
    /// Its status.
    pub status: TaskStatus,
    /// The current activity: `deploying`, `rolling_back`, `rolled_back`, `destroying`, …
    #[serde(default)]
    pub phase: Option<String>,
    /// The last relevant log line; the reason, if it failed.
    #[serde(default)]
    pub message: Option<String>,
    /// When its latest run started; `None` in tasks stored by versions that did not keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When that run ended; `None` while it is running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
}

/// The state of one run of a task. JSON leaves absent fields out, except those inside `progress`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// The id: given by the caller, named in the log, derived from the log stream, or a UUID.
    pub task_id: TaskId,
    /// The display name, at most [`MAX_NAME_CHARS`] characters.
    pub task_name: String,
    /// The kind of work.
    pub task_type: TaskType,
    /// The status.
    pub status: TaskStatus,
    /// The priority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// The progress.
    pub progress: Progress,
    /// The stacks of a CDK run or the sub-agents of an agent, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<String, Part>,
    /// What the agent of the run tells about itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<Box<Agent>>,
    /// Who started the run, and from what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Box<Context>>,
    /// The run: the time of its first line when it was first stored. It never changes, and no two
    /// runs of a task have the same.
    pub run: Timestamp,
    /// Whether a later run of the task has begun.
    #[serde(
        rename = "earlier",
        default,
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub is_earlier: bool,
    /// How often the end of the run turned out to be another one, or none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub corrections: u32,
    /// Whether the end is assumed, because the run has been silent for long or a later one began.
    /// A later line takes it back.
    #[serde(
        rename = "assumed",
        default,
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub is_assumed: bool,
    /// The number of writes.
    pub revision: Revision,
    /// The project it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<ProjectId>,
    /// The last relevant log line; the reason, if the task failed. At most [`MAX_MESSAGE_BYTES`]
    /// bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Why the run failed, or why it rolls back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Box<Failure>>,
    /// The current activity: a fixed word such as `deploying` for a deploy, any text for an agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// The current step, as the agent names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_step: Option<String>,
    /// The log group of the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_group: Option<String>,
    /// The log stream of the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_stream: Option<String>,
    /// When a caller created the run, or the time of its first log line.
    pub created_at: Timestamp,
    /// When the run started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// The time of the last log event or edit that changed the task.
    pub updated_at: Timestamp,
    /// When the run ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// Milliseconds from the start to the end, or to the last event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// How long earlier runs with the same type and name took, in milliseconds. Set when the run
    /// starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usual_duration_ms: Option<u64>,
    /// A JSON object for the caller's own use, at most [`MAX_METADATA_BYTES`] bytes of JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<serde_json::Map<String, serde_json::Value>>,
}

/// Whether a number is left out of JSON.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Task {
    /// The id of the run.
    pub fn run_id(&self) -> RunId {
        RunId {
            task_id: self.task_id.clone(),
            run: self.run,
        }
    }

    /// The run as lists show it: without what only its own view needs. That is `parts`, the to-do list
    /// of the agent, the lines before the failure, and `metadata` of more than
    /// [`MAX_LISTED_METADATA_BYTES`].
    #[must_use]
    pub fn listed(&self) -> Self {
        let failure = self.failure.as_ref();
        let agent = self.agent.as_ref();
        Self {
            parts: BTreeMap::new(),
            agent: agent.map(|agent| Box::new(agent.listed())),
            failure: failure.map(|failure| Box::new(failure.listed())),
            metadata: self.metadata.clone().filter(|_| !self.has_long_metadata()),
            ..self.clone()
        }
    }

    /// Whether the run has anything that lists do not show.
    pub fn has_detail(&self) -> bool {
        !self.parts.is_empty()
            || !self.todos().is_empty()
            || !self.failure_context().is_empty()
            || self.has_long_metadata()
    }

    /// Whether `other` has the same values in the fields that lists may leave out.
    pub fn has_same_detail(&self, other: &Self) -> bool {
        self.parts == other.parts
            && self.todos() == other.todos()
            && self.failure_context() == other.failure_context()
            && self.metadata == other.metadata
    }

    /// The lines before the failure, oldest first.
    pub fn failure_context(&self) -> &[String] {
        let failure = self.failure.as_ref();
        failure.map_or(&[], |failure| &failure.context)
    }

    /// The to-do list of the agent.
    pub fn todos(&self) -> &[TodoItem] {
        self.agent.as_ref().map_or(&[], |agent| &agent.todos)
    }

    /// Whether lists leave out the `metadata`.
    pub fn has_long_metadata(&self) -> bool {
        let size = |metadata| serde_json::to_string(metadata).map_or(0, |json| json.len());
        self.metadata.as_ref().map_or(0, size) > MAX_LISTED_METADATA_BYTES
    }

    /// The id under which the run is stored.
    pub fn record_id(&self) -> RecordId {
        match self.is_earlier {
            true => RecordId::Run(self.run_id()),
            false => RecordId::Newest(self.task_id.clone()),
        }
    }

    /// Whether the task is running and has not changed for longer than `stale_after_ms`.
    pub fn is_stale(&self, now: Timestamp, stale_after_ms: u64) -> bool {
        self.status == TaskStatus::Running && now.millis_since(self.updated_at) > stale_after_ms
    }

    /// Estimates when the run will end; `None` if there is too little data.
    ///
    /// Two estimates are combined: one from the speed of this run, one from the duration of earlier
    /// runs. The weight of the first is the share that is done, because an early estimate of a run
    /// is unreliable. Without earlier runs, the run must be 10 % done and have taken 5 seconds. A run
    /// that rolls back does not come nearer to its end by its progress.
    pub fn eta(&self) -> Option<Timestamp> {
        let is_rolling_back = self.phase.as_deref() == Some("rolling_back");
        if self.status != TaskStatus::Running || is_rolling_back {
            return None;
        }
        let spent_ms = self.updated_at.millis_since(self.started_at?);
        let own_ms = self.progress.done_per_mille().and_then(|done| {
            let rest = u128::from(spent_ms) * u128::from(1000 - done);
            rest.checked_div(u128::from(done))
        });
        // If the run takes longer than usual, earlier runs no longer help to estimate its end.
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
                let is_reliable = done >= LEAST_DONE_PER_MILLE && spent_ms >= LEAST_SPENT_MS;
                is_reliable.then_some(own_ms)?
            }
            (None, usual_ms) => usual_ms?,
        };
        let left_ms = u64::try_from(left_ms)
            .ok()
            .filter(|left| *left <= MOST_LEFT_MS)?;
        Some(self.updated_at.after(Duration::from_millis(left_ms)))
    }
}

/// The smallest share done, in thousandths, from which the speed of a run alone gives an estimate.
const LEAST_DONE_PER_MILLE: u64 = 100;
/// The shortest time spent, in milliseconds, from which the speed of a run alone gives an estimate.
const LEAST_SPENT_MS: u64 = 5_000;
/// Estimates further ahead than this are not shown, in milliseconds: 7 days.
const MOST_LEFT_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// One change of a task's progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// When the progress changed.
    pub timestamp: Timestamp,
    /// The run of the task.
    pub run: Timestamp,
    /// The revision of the task after the change.
    pub revision: Revision,
    /// The status after the change.
    pub status: TaskStatus,
    /// The progress after the change.
    pub progress: Progress,
    /// The activity after the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// The last relevant log line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl HistoryEntry {
    /// Returns the history entry for a write that replaces `previous` with `next`; `None` if run,
    /// status, progress and phase are unchanged.
    pub fn of_change(previous: Option<&Task>, next: &Task) -> Option<Self> {
        let shown = |task: &Task| (task.run, task.status, task.progress, task.phase.clone());
        if previous.is_some_and(|previous| shown(previous) == shown(next)) {
            return None;
        }
        Some(Self {
            timestamp: next.updated_at,
            run: next.run,
            revision: next.revision,
            status: next.status,
            progress: next.progress,
            phase: next.phase.clone(),
            message: next.message.clone(),
        })
    }
}
