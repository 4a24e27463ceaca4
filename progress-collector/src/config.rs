//! The collector's settings.

use std::sync::LazyLock;
use std::time::Duration;

use shared::config::{ConfigError, Settings};
use shared::log_parser::LogFormat;

/// The environment variables of all log formats: `CDK_LOG_GROUP_NAME or …`.
static VARIABLES: LazyLock<String> = LazyLock::new(|| {
    let variables = LogFormat::ALL.map(|format| format.environment_variable);
    variables.join(" or ")
});

/// A log group that the collector reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogGroup {
    /// Its name.
    pub name: String,
    /// The format of its log events.
    pub format: LogFormat,
}

/// The collector's settings.
#[derive(Debug, Clone)]
pub struct CollectorConfig {
    /// The log groups in the environment variables of the log formats; at least one.
    pub groups: Vec<LogGroup>,
    /// `OVERLAP_SECONDS` (0 to 86,400, default 300): how far before its checkpoint a sweep starts,
    /// to find events that arrived late. CloudWatch Logs can't filter by time of arrival.
    pub overlap: Duration,
    /// `FIRST_SWEEP_SECONDS` (60 to 1,209,600, default 86,400): how far back the first sweep of a
    /// log group goes.
    pub first_sweep: Duration,
    /// `STALE_AFTER_SECONDS`: see [`shared::config::stale_after`].
    pub stale_after: Duration,
}

impl Default for CollectorConfig {
    fn default() -> Self {
        Self {
            groups: Vec::new(),
            overlap: Duration::from_secs(300),
            first_sweep: Duration::from_secs(86_400),
            stale_after: Duration::from_secs(900),
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
        let group = |format: LogFormat| {
            let name = settings.optional(format.environment_variable)?;
            Some(LogGroup { name, format })
        };
        let groups: Vec<_> = LogFormat::ALL.into_iter().filter_map(group).collect();
        if groups.is_empty() {
            return Err(ConfigError::Missing { name: &VARIABLES });
        }
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
        })
    }
}
