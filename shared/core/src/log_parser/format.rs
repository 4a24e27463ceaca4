//! The table of log formats. A new format is one entry here, its parser, its part of the fold, and fixtures.

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

/// What is known of a log format.
pub struct FormatEntry {
    /// The prefix of the ids of its tasks: `cdk` in `cdk:<log stream>`.
    pub id: &'static str,
    /// The option of the command lines that names a log of this format, without `--`.
    pub option: &'static str,
    /// What `--help` says of that option.
    pub option_help: &'static str,
    /// The environment variable that names the log group with logs of this format.
    pub environment_variable: &'static str,
    /// The log group that logs of files belong to.
    pub file_log_group: &'static str,
    /// The type of its tasks.
    pub task_type: TaskType,
    /// How the name of a task begins that its log does not name: `CDK` in `CDK · <log stream>`.
    pub title: &'static str,
    /// Whether a line can name the task that it belongs to.
    pub names_tasks: bool,
    may_match: fn(&str) -> bool,
    parse: fn(&str) -> Result<Option<Observation>, ParseError>,
    parse_object: fn(&Object<'_>) -> Result<Option<Observation>, ParseError>,
    check_broken_object: fn(&str) -> Result<(), ParseError>,
}

static CDK: FormatEntry = FormatEntry {
    id: "cdk",
    option: "cdk",
    option_help: "A log of the CDK command line: a file, a directory of files and directories, or `-` for standard \
                  input; repeatable",
    environment_variable: "CDK_LOG_GROUP_NAME",
    file_log_group: "/miyabi/cdk",
    task_type: TaskType::CdkDeploy,
    title: "CDK",
    names_tasks: false,
    may_match: cdk::may_match,
    parse: |line| Ok(cdk::parse(line)?.map(Observation::Cdk)),
    parse_object: |_| Ok(None),
    check_broken_object: |_| Ok(()),
};

static AGENT: FormatEntry = FormatEntry {
    id: "agent",
    option: "agents",
    option_help: "A log of agents, in JSON or plain text: a file, a directory, or `-`; repeatable",
    environment_variable: "AGENT_LOG_GROUP_NAME",
    file_log_group: "/miyabi/agents",
    task_type: TaskType::AgentExecution,
    title: "Agent",
    names_tasks: true,
    may_match: agent::may_match,
    parse: |line| Ok(agent::parse(line).map(Observation::Agent)),
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

    /// Whether `line` can be of this format: a cheap test that lets some other lines pass.
    pub(super) fn may_match(self, line: &str) -> bool {
        (self.0.may_match)(line)
    }

    /// Parses a line without colours.
    pub(super) fn parse(self, line: &str) -> Result<Option<Observation>, ParseError> {
        (self.0.parse)(line)
    }

    /// Parses a line that is a JSON object; `Ok(None)` if its fields say nothing in this format.
    pub(super) fn parse_object(
        self,
        object: &Object<'_>,
    ) -> Result<Option<Observation>, ParseError> {
        (self.0.parse_object)(object)
    }

    /// Fails if a line that begins with `{` and is no JSON was meant to be an object of this format.
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
