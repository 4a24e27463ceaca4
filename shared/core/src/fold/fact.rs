//! Facts: what the lines of a log, callers, and the platform say about a task.

use serde::{Deserialize, Serialize};

use super::{CallerEdit, LastLines, LineKey};
use crate::log_parser::Observation;
use crate::model::{Context, ProjectId, TaskType};

/// The most lines of a failure's context.
pub const MOST_CONTEXT: usize = 5;

/// A fact and the key of its line.
pub type KeyedFact = (LineKey, Fact);

/// Something that was said about a task at one point in time. Observations are boxed, because facts
/// are moved often.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// The parser read this from a line.
    Line(Box<Observation>),
    /// The parser read this from a line that reports a failure: the first such line of its event.
    Failure {
        /// What the parser read.
        line: Box<Observation>,
        /// The lines before it, oldest first: at most [`MOST_CONTEXT`] of at most 160 bytes, as far
        /// as the reading that found the failure had them.
        context: Vec<String>,
    },
    /// A caller of the API created the task, or a further run of it.
    Creation(Creation),
    /// A caller of the API edited the task.
    Edit(CallerEdit),
    /// A caller of the API deleted the task.
    Deletion,
    /// The command ended. That outranks whatever lines say.
    Exit {
        /// The exit code: 0 is a success, and 128 more than the number of a signal tells of that
        /// signal.
        code: i32,
        /// The last lines, as far as the reading that found the end had them.
        #[serde(default, skip_serializing_if = "LastLines::is_empty")]
        last_lines: LastLines,
    },
    /// A command begins, all of whose output is in the log. Nothing but its exit ends its run.
    Session(Box<Session>),
    /// The log begins anew, because somebody has emptied or replaced it: what follows is another run.
    Restart,
    /// The log has lines from the key of this fact on, of which these are the last. Any line makes a
    /// run, whatever it says.
    Lines(LastLines),
    /// Nothing follows the last lines of the log.
    EndOfLog {
        /// The last lines.
        last_lines: LastLines,
        /// Whether that is only assumed, because the log has been silent for long.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_assumed: bool,
    },
}

/// The creation of a run by a caller of the API.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Creation {
    /// The kind of work.
    pub task_type: TaskType,
    /// The start of the run before it, as far as it was known then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<LineKey>,
    /// The first values of the other fields.
    #[serde(flatten)]
    pub edit: CallerEdit,
}

/// One command, from its start to its exit. The key of its lines tells which one it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Session {
    /// The name of the task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_name: Option<String>,
    /// The project of the task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_id: Option<ProjectId>,
    /// Who started it, and from what.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<Context>,
}

impl Fact {
    /// The fact that the parser read `observation` from a line.
    pub fn line(observation: Observation) -> Self {
        Self::Line(Box::new(observation))
    }
}
