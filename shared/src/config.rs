//! Settings, read once at cold start. The doc of each field names its variable and its default.

mod cache;
mod file;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

pub use cache::CacheConfig;
pub use file::read_text;

/// A missing or invalid setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The variable is required.
    #[error("{name} is not set")]
    Missing {
        /// The variable.
        name: &'static str,
    },
    /// The value of the variable is invalid. The error omits the value, because it may be a secret.
    #[error("{name} must be {expected}")]
    Invalid {
        /// The variable.
        name: &'static str,
        /// The valid values.
        expected: &'static str,
    },
}

/// A value that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The value, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self(value)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[secret]")
    }
}

/// Reads settings by name, from the environment or from a lookup of a test. An empty value counts
/// as not set.
pub struct Settings<'a>(&'a dyn Fn(&str) -> Option<String>);

impl<'a> Settings<'a> {
    /// Creates settings that `lookup` returns by name.
    pub fn new(lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self(lookup)
    }

    /// Reads an optional setting.
    pub fn optional(&self, name: &'static str) -> Option<String> {
        (self.0)(name).filter(|value| !value.is_empty())
    }

    /// Reads a required setting.
    pub fn required(&self, name: &'static str) -> Result<String, ConfigError> {
        self.optional(name).ok_or(ConfigError::Missing { name })
    }

    /// Reads `true` or `false`; `false` if it is not set.
    pub fn flag(&self, name: &'static str) -> Result<bool, ConfigError> {
        match self.optional(name).as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(ConfigError::Invalid {
                name,
                expected: "true or false",
            }),
        }
    }

    /// Reads a number from `least` to `most`; `default` if it is not set.
    pub fn number<T: FromStr + PartialOrd>(
        &self,
        name: &'static str,
        default: T,
        (least, most): (T, T),
        expected: &'static str,
    ) -> Result<T, ConfigError> {
        let Some(value) = self.optional(name) else {
            return Ok(default);
        };
        match value.parse() {
            Ok(number) if least <= number && number <= most => Ok(number),
            _ => Err(ConfigError::Invalid { name, expected }),
        }
    }
}

/// The tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreConfig {
    /// `TASKS_TABLE_NAME`.
    pub tasks_table: String,
    /// `PROJECTS_TABLE_NAME`.
    pub projects_table: String,
    /// `CHECKPOINTS_TABLE_NAME`. The API does not need it.
    pub checkpoints_table: Option<String>,
    /// `INDEX_SHARDS` (1 to 64, default 4): over how many partitions each status is spread in its
    /// index. Raise it before the tasks of one status change more than 1,000 times a second. Do not
    /// lower it while tasks in the old shards must be listed.
    pub index_shards: u32,
}

impl StoreConfig {
    /// Reads the settings of the tables.
    pub fn from_settings(settings: &Settings<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            tasks_table: settings.required("TASKS_TABLE_NAME")?,
            projects_table: settings.required("PROJECTS_TABLE_NAME")?,
            checkpoints_table: settings.optional("CHECKPOINTS_TABLE_NAME"),
            index_shards: settings.number("INDEX_SHARDS", 4, (1, 64), "a number from 1 to 64")?,
        })
    }
}

/// The AWS region of the log groups, which Lambda sets as `AWS_REGION`. It lives as long as the program,
/// which reads it once.
pub fn log_region(settings: &Settings<'_>) -> Option<&'static str> {
    settings
        .optional("AWS_REGION")
        .map(|region| &*region.leak())
}

/// Reads `STALE_AFTER_SECONDS` (1 to 604,800, default 900): a running task is stale after this many
/// seconds without an update.
pub fn stale_after(settings: &Settings<'_>) -> Result<Duration, ConfigError> {
    let expected = "a number of seconds from 1 to 604800";
    let seconds = settings.number("STALE_AFTER_SECONDS", 900, (1, 604_800), expected)?;
    Ok(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stale_after_of(value: &'static str) -> Result<Duration, ConfigError> {
        stale_after(&Settings::new(&move |_| Some(value.to_owned())))
    }

    #[test]
    fn a_number_is_checked_and_an_empty_one_is_the_default() {
        assert_eq!(stale_after_of("60"), Ok(Duration::from_secs(60)));
        assert_eq!(stale_after_of(""), Ok(Duration::from_secs(900)));
        for bad in ["0", "-1", "soon", "604801"] {
            let error = stale_after_of(bad).unwrap_err().to_string();
            assert!(error.starts_with("STALE_AFTER_SECONDS must be"), "{error}");
        }
    }

    #[test]
    fn a_flag_is_true_or_false_and_defaults_to_false() {
        let flag = |value: &'static str| {
            let lookup = move |_: &str| Some(value.to_owned());
            Settings::new(&lookup).flag("FLAG")
        };
        assert_eq!(flag("true"), Ok(true));
        assert_eq!((flag("false"), flag("")), (Ok(false), Ok(false)));
        for bad in ["True", "1", "yes", " true"] {
            let error = flag(bad).unwrap_err().to_string();
            assert_eq!(error, "FLAG must be true or false");
        }
    }

    #[test]
    fn a_missing_setting_is_named() {
        let error = StoreConfig::from_settings(&Settings::new(&|_| None)).unwrap_err();
        assert_eq!(error.to_string(), "TASKS_TABLE_NAME is not set");
    }
}
