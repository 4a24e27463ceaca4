//! The collector's settings.

use std::time::Duration;

use shared::config::{ConfigError, Settings};
use shared::log_parser::LogFormat;

/// The setting with the log groups.
const LOG_GROUPS: &str = "LOG_GROUPS";

/// A log group that the collector reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogGroup {
    /// Its name.
    pub name: String,
    /// The format of most of its log events: a hint.
    pub format: LogFormat,
}

/// The collector's settings.
#[derive(Debug, Clone)]
pub struct CollectorConfig {
    /// `LOG_GROUPS`: names of log groups, separated by commas; at least one. Behind a name may be
    /// `=` and the id of a log format, as a hint.
    pub groups: Vec<LogGroup>,
    /// `OVERLAP_SECONDS` (0 to 86,400, default 300): how far before its checkpoint a sweep starts,
    /// to find events that arrived late. CloudWatch Logs can't filter by time of arrival.
    pub overlap: Duration,
    /// `FIRST_SWEEP_SECONDS` (60 to 1,209,600, default 86,400): how far back the first sweep of a
    /// log group goes.
    pub first_sweep: Duration,
    /// `STALE_AFTER_SECONDS`: see [`shared::config::stale_after`].
    pub stale_after: Duration,
    /// `AWS_REGION`: see [`shared::config::log_region`].
    pub region: Option<&'static str>,
}

impl Default for CollectorConfig {
    fn default() -> Self {
        Self {
            groups: Vec::new(),
            overlap: Duration::from_secs(300),
            first_sweep: Duration::from_secs(86_400),
            stale_after: Duration::from_secs(900),
            region: None,
        }
    }
}

impl CollectorConfig {
    /// Reads the collector's settings.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if no log group is set, or a number is out of range.
    pub fn from_settings(settings: &Settings<'_>) -> Result<Self, ConfigError> {
        let groups = log_groups(&settings.required(LOG_GROUPS)?)?;
        let seconds = |name, default, (least, most), expected| {
            settings
                .number(name, default, (least, most), expected)
                .map(Duration::from_secs)
        };
        Ok(Self {
            groups,
            overlap: seconds(
                "OVERLAP_SECONDS",
                300,
                (0, 86_400),
                "seconds from 0 to 86400",
            )?,
            first_sweep: seconds(
                "FIRST_SWEEP_SECONDS",
                86_400,
                (60, 1_209_600),
                "seconds from 60 to 1209600",
            )?,
            stale_after: shared::config::stale_after(settings)?,
            region: shared::config::log_region(settings),
        })
    }
}

/// Reads a list of log groups. A log group that is in it twice is read once, and with two hints as
/// with none.
fn log_groups(list: &str) -> Result<Vec<LogGroup>, ConfigError> {
    let invalid = || ConfigError::Invalid {
        name: LOG_GROUPS,
        expected: "names of log groups, separated by commas, each alone or with =cdk or =agent",
    };
    let mut groups: Vec<LogGroup> = Vec::new();
    for entry in list.split(',').map(str::trim) {
        let (name, hint) = match entry.split_once('=') {
            Some((name, hint)) => (name, Some(hint)),
            None => (entry, None),
        };
        let format = match hint {
            Some(hint) => LogFormat::ALL.into_iter().find(|format| format.id == hint),
            None => Some(LogFormat::ANY),
        };
        let format = format.ok_or_else(invalid)?;
        match groups.iter_mut().find(|group| group.name == name) {
            _ if entry.is_empty() => {}
            _ if name.is_empty() => return Err(invalid()),
            Some(known) if known.format == format => {}
            Some(known) => known.format = LogFormat::ANY,
            None => groups.push(LogGroup {
                name: name.to_owned(),
                format,
            }),
        }
    }
    if groups.is_empty() {
        return Err(invalid());
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups_of(list: &'static str) -> Vec<(String, &'static str)> {
        let groups = log_groups(list).unwrap().into_iter();
        groups.map(|group| (group.name, group.format.id)).collect()
    }

    #[test]
    fn a_log_group_has_a_hint_or_none() {
        let named = |name: &str, id| (name.to_owned(), id);
        let groups = groups_of("/cdk=cdk, /agents=agent,/any,");
        let expected = [
            named("/cdk", "cdk"),
            named("/agents", "agent"),
            named("/any", "run"),
        ];
        assert_eq!(groups, expected);
    }

    #[test]
    fn a_log_group_that_is_named_twice_is_read_once() {
        assert_eq!(groups_of("/a=cdk,/a=cdk"), [("/a".to_owned(), "cdk")]);
        assert_eq!(groups_of("/a=cdk,/a=agent"), [("/a".to_owned(), "run")]);
        assert_eq!(groups_of("/a=cdk,/a"), [("/a".to_owned(), "run")]);
    }

    #[test]
    fn an_unknown_hint_and_a_list_without_a_name_are_errors() {
        for list in ["/a=jenkins", "/a=", "=cdk", ",", "/a=cdk=cdk"] {
            let error = log_groups(list).unwrap_err();
            assert!(error.to_string().starts_with(LOG_GROUPS), "{list}: {error}");
        }
    }

    #[test]
    fn the_error_names_every_hint() {
        let error = log_groups("/a=jenkins").unwrap_err().to_string();
        for format in LogFormat::ALL {
            assert!(error.contains(&format!("={}", format.id)), "{error}");
        }
    }
}
