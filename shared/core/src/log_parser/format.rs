//! The table of log formats.
//!
//! A new format needs an entry here, a parser module, a part of the fold, and fixtures.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use super::json::Object;
use super::observation::{Observation, ParseError};
use super::{agent, cdk};
use crate::model::TaskType;

/// A log format: a reference to its entry in the table.
#[derive(Clone, Copy)]
pub struct LogFormat(&'static FormatEntry);

/// An entry of the table of log formats.
pub struct FormatEntry {
    /// The prefix of task ids that are derived from a log stream: `cdk` in `cdk:<log stream>`.
    pub id: &'static str,
    /// The command-line option for a log of this format, without `--`.
    pub option: &'static str,
    /// The help text of that option.
    pub option_help: &'static str,
    /// The environment variable with the log group of this format.
    pub environment_variable: &'static str,
    /// The log group of logs that are read from files.
    pub file_log_group: &'static str,
    /// The type of tasks with this format.
    pub task_type: TaskType,
    /// The start of task names that are derived from the log stream: `CDK` in `CDK · <log stream>`.
    pub title: &'static str,
    /// Whether a line can name its task.
    pub names_tasks: bool,
    may_match: fn(&str) -> bool,
    parse: fn(&str) -> Result<Option<Observation>, ParseError>,
    #[cfg(test)]
    parse_unfiltered: fn(&str) -> Result<Option<Observation>, ParseError>,
    parse_object: fn(&Object<'_>) -> Result<Option<Observation>, ParseError>,
    check_broken_object: fn(&str) -> Result<(), ParseError>,
}

static CDK: FormatEntry = FormatEntry {
    id: "cdk",
    option: "cdk",
    option_help: "Log of the CDK command line: a file, a directory, or `-` for standard input; repeatable",
    environment_variable: "CDK_LOG_GROUP_NAME",
    file_log_group: "/miyabi/cdk",
    task_type: TaskType::CdkDeploy,
    title: "CDK",
    names_tasks: false,
    may_match: cdk::may_match,
    parse: |line| Ok(cdk::parse(line)?.map(Observation::Cdk)),
    #[cfg(test)]
    parse_unfiltered: |line| Ok(cdk::parse(line)?.map(Observation::Cdk)),
    parse_object: |_| Ok(None),
    check_broken_object: |_| Ok(()),
};

static AGENT: FormatEntry = FormatEntry {
    id: "agent",
    option: "agents",
    option_help: "Log of agents, in JSON or plain text: a file, a directory, or `-` for standard input; repeatable",
    environment_variable: "AGENT_LOG_GROUP_NAME",
    file_log_group: "/miyabi/agents",
    task_type: TaskType::AgentExecution,
    title: "Agent",
    names_tasks: true,
    may_match: agent::may_match,
    parse: |line| Ok(agent::parse(line).map(Observation::Agent)),
    #[cfg(test)]
    parse_unfiltered: |line| Ok(agent::parse_unfiltered(line).map(Observation::Agent)),
    parse_object: |object| Ok(agent::parse_report(object)?.map(Observation::Agent)),
    check_broken_object: agent::check_broken_report,
};

impl LogFormat {
    /// The output of the CDK command line.
    pub const CDK: Self = Self(&CDK);
    /// The output of automation agents.
    pub const AGENT: Self = Self(&AGENT);
    /// All formats.
    pub const ALL: [Self; 2] = [Self::CDK, Self::AGENT];

    /// The pre-filter: a cheap test whether `line` can be of this format. It lets some other lines
    /// pass.
    pub(super) fn may_match(self, line: &str) -> bool {
        (self.0.may_match)(line)
    }

    /// Parses a line without colours.
    pub(super) fn parse(self, line: &str) -> Result<Option<Observation>, ParseError> {
        (self.0.parse)(line)
    }

    /// [`parse`](Self::parse) without any pre-filter inside.
    #[cfg(test)]
    pub(super) fn parse_unfiltered(self, line: &str) -> Result<Option<Observation>, ParseError> {
        (self.0.parse_unfiltered)(line)
    }

    /// Parses the fields of a JSON object; `Ok(None)` if they are not of this format.
    pub(super) fn parse_object(
        self,
        object: &Object<'_>,
    ) -> Result<Option<Observation>, ParseError> {
        (self.0.parse_object)(object)
    }

    /// Fails if a line that starts with `{` but is not valid JSON looks like an object of this
    /// format.
    pub(super) fn check_broken_object(self, text: &str) -> Result<(), ParseError> {
        (self.0.check_broken_object)(text)
    }
}

impl Deref for LogFormat {
    type Target = FormatEntry;

    fn deref(&self) -> &FormatEntry {
        self.0
    }
}

impl fmt::Debug for LogFormat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "LogFormat({})", self.id)
    }
}

impl PartialEq for LogFormat {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for LogFormat {}

impl PartialOrd for LogFormat {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for LogFormat {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.id.cmp(other.id)
    }
}

impl Hash for LogFormat {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}
