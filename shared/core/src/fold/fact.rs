//! Facts: what the lines of a log, callers, and the platform say about a task.

use serde::{Deserialize, Serialize};

use super::CallerEdit;
use crate::log_parser::Observation;

/// The most lines of a failure's context.
pub const MOST_CONTEXT: usize = 5;

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
    /// A caller of the API edited the task.
    Edit(CallerEdit),
    /// A caller of the API deleted the task.
    Deletion,
    /// The command ended with this exit code. 0 is a success. It outranks whatever lines say.
    Exit(i32),
}

impl Fact {
    /// The fact that the parser read `observation` from a line.
    pub fn line(observation: Observation) -> Self {
        Self::Line(Box::new(observation))
    }
}
