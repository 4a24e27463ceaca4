//! The form of an entry of the table of log formats.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use super::json::Object;
use super::observation::{Observation, ParseError};
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
    /// The environment variable with the log group of this format.
    pub environment_variable: &'static str,
    /// The log group of logs that are read from files.
    pub file_log_group: &'static str,
    /// The type of tasks with this format.
    pub task_type: TaskType,
    /// The name of the format for people.
    pub title: &'static str,
    /// Whether a line can name its task.
    pub names_tasks: bool,
    /// See [`LogFormat::may_match`].
    pub(super) may_match: fn(&str) -> bool,
    /// See [`LogFormat::parse`].
    pub(super) parse: fn(&str) -> Result<Option<Observation>, ParseError>,
    /// [`parse`](Self::parse) without any pre-filter inside.
    #[cfg(test)]
    pub(super) parse_unfiltered: fn(&str) -> Result<Option<Observation>, ParseError>,
    /// See [`LogFormat::parse_object`].
    pub(super) parse_object: fn(&Object<'_>) -> Result<ObjectContent, ParseError>,
    /// See [`LogFormat::check_broken_object`].
    pub(super) check_broken_object: fn(&str) -> Result<(), ParseError>,
    /// Lines with one observation each, for the property tests.
    #[cfg(test)]
    pub(super) examples: &'static [&'static str],
}

/// What the fields of a JSON object say.
pub(super) enum ObjectContent {
    /// They are not of the format. The text inside the object may be.
    Foreign,
    /// The object is of the format and says nothing about progress. Nor does the text inside.
    Silent,
    /// Fields whose names do not say that they are progress, for a text that says nothing either.
    Samples(Box<Observation>),
    /// This.
    Report(Box<Observation>),
}

impl LogFormat {
    /// The pre-filter: a cheap test whether `line` can be of this format. It lets some other lines
    /// pass.
    pub(super) fn may_match(self, line: &str) -> bool {
        (self.0.may_match)(line)
    }

    /// Parses a line without colours.
    pub(crate) fn parse(self, line: &str) -> Result<Option<Observation>, ParseError> {
        (self.0.parse)(line)
    }

    /// [`parse`](Self::parse) without any pre-filter inside.
    #[cfg(test)]
    pub(super) fn parse_unfiltered(self, line: &str) -> Result<Option<Observation>, ParseError> {
        (self.0.parse_unfiltered)(line)
    }

    /// Parses the fields of a JSON object.
    pub(super) fn parse_object(self, object: &Object<'_>) -> Result<ObjectContent, ParseError> {
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
