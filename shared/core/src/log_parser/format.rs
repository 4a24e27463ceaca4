//! The form of an entry of the table of log formats, and how lines of a format are read.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use super::observation::{Observation, ParseError};
use super::{agent, cdk};
use crate::model::TaskType;

/// A log format: a reference to its entry in the table.
#[derive(Clone, Copy)]
pub struct LogFormat(pub(super) &'static FormatEntry);

/// An entry of the table of log formats.
pub struct FormatEntry {
    /// The prefix of task ids that are derived from a log stream: `cdk` in `cdk:<log stream>`.
    pub id: &'static str,
    /// The command-line option for a log of this format, without `--`.
    pub option: &'static str,
    /// The help text of that option.
    pub option_help: &'static str,
    /// The log group of logs that are read from files.
    pub file_log_group: &'static str,
    /// The type of tasks with this format.
    pub task_type: TaskType,
    /// The name of the format for people.
    pub title: &'static str,
    /// Whether the words of tools can end a run: `96 passed`. Before and after it deploys, a log of
    /// CDK has the output of many tools.
    pub tools_end_runs: bool,
    /// Lines with one observation each, for the property tests.
    #[cfg(test)]
    pub(super) examples: &'static [&'static str],
}

impl LogFormat {
    /// Parses a line without colours.
    pub(super) fn parse(self, line: &str) -> Result<Option<Observation>, ParseError> {
        self.parse_as(line, agent::parse)
    }

    /// [`parse`](Self::parse) without any pre-filter inside.
    #[cfg(test)]
    pub(super) fn parse_unfiltered(self, line: &str) -> Result<Option<Observation>, ParseError> {
        self.parse_as(line, agent::parse_unfiltered)
    }

    fn parse_as(
        self,
        line: &str,
        parse_text: fn(&str) -> Option<Observation>,
    ) -> Result<Option<Observation>, ParseError> {
        if let Some(of_cdk) = cdk::parse(line)? {
            return Ok(Some(Observation::Cdk(of_cdk)));
        }
        let found = parse_text(line);
        Ok(match self.tools_end_runs {
            true => found,
            false => found.and_then(Observation::without_end),
        })
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
