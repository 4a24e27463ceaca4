//! The query of a request.
//!
//! A handler takes the parameters one by one, and then calls [`QueryParameters::finish`]. All wrong
//! and all unknown parameters are reported at once.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use shared::model::{RunId, Timestamp};
use shared::store::TimeRange;

use crate::cursor::{Cursor, InvalidCursor};
use crate::problem::{ApiError, FieldError};

/// The default of `limit`.
pub(crate) const DEFAULT_LIMIT: usize = 50;
/// The most errors that a response lists.
const MAX_ERRORS: usize = 20;
/// The most characters of an unknown parameter's name that a response repeats.
const MAX_NAME_CHARS: usize = 64;

/// The parameters that are not taken yet, and the errors in those that are.
pub(crate) struct QueryParameters {
    given: BTreeMap<String, Vec<String>>,
    errors: Vec<FieldError>,
}

impl<S: Sync> FromRequestParts<S> for QueryParameters {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let pairs = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
        let Query(pairs) = pairs.map_err(|_| {
            ApiError::InvalidParameters(vec![FieldError {
                field: "query".to_owned(),
                detail: "must be pairs of names and values in UTF-8".to_owned(),
            }])
        })?;
        let mut given = BTreeMap::<String, Vec<String>>::new();
        for (name, value) in pairs {
            given.entry(name).or_default().push(value);
        }
        Ok(Self {
            given,
            errors: Vec::new(),
        })
    }
}

impl QueryParameters {
    /// Records that a parameter is wrong.
    pub(crate) fn reject(&mut self, name: impl Into<String>, detail: impl Display) {
        self.errors.push(FieldError {
            field: name.into(),
            detail: detail.to_string(),
        });
    }

    /// Takes a parameter that can occur once.
    pub(crate) fn one<T>(&mut self, name: &str) -> Option<T>
    where
        T: FromStr<Err: Display>,
    {
        let text = self.text(name)?;
        let value = text.parse();
        value.map_err(|error| self.reject(name, error)).ok()
    }

    /// Whether a parameter is given and not taken yet.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }

    /// Takes a parameter that can occur once. `expected` says what it must be.
    pub(crate) fn parsed<T: FromStr>(&mut self, name: &str, expected: &str) -> Option<T> {
        let text = self.text(name)?;
        let value = text.parse();
        value.map_err(|_| self.reject(name, expected)).ok()
    }

    /// Takes a parameter that can be repeated, and can have several values separated by commas.
    pub(crate) fn many<T>(&mut self, name: &str) -> Vec<T>
    where
        T: FromStr<Err: Display>,
    {
        let texts = self.given.remove(name).unwrap_or_default();
        let items = texts.iter().flat_map(|text| text.split(','));
        let values: Result<Vec<T>, T::Err> = items.map(|item| item.trim().parse()).collect();
        values
            .map_err(|error| self.reject(name, error))
            .unwrap_or_default()
    }

    /// Takes a text of 1 to `max` characters.
    pub(crate) fn text_of(&mut self, name: &str, max: usize) -> Option<String> {
        let text = self.text(name)?;
        let is_short = (1..=max).contains(&text.chars().count());
        if !is_short {
            self.reject(name, format!("must be 1 to {max} characters"));
        }
        is_short.then_some(text)
    }

    /// Takes `limit`, from 1 to `max`.
    pub(crate) fn limit(&mut self, max: usize) -> usize {
        let Some(text) = self.text("limit") else {
            return DEFAULT_LIMIT;
        };
        match text.parse() {
            Ok(limit) if (1..=max).contains(&limit) => limit,
            _ => {
                self.reject("limit", format!("must be a whole number from 1 to {max}"));
                DEFAULT_LIMIT
            }
        }
    }

    /// Takes a time, in RFC 3339 or in milliseconds since 1970.
    pub(crate) fn timestamp(&mut self, name: &str) -> Option<Timestamp> {
        let text = self.text(name)?;
        let timestamp = parse_timestamp(&text);
        if timestamp.is_none() {
            self.reject(
                name,
                "must be an RFC 3339 date and time, or milliseconds since 1970",
            );
        }
        timestamp
    }

    /// Takes `from` and `to`. The first must not be later.
    pub(crate) fn time_range(&mut self) -> TimeRange {
        let range = TimeRange {
            from: self.timestamp("from"),
            to: self.timestamp("to"),
        };
        if let (Some(from), Some(to)) = (range.from, range.to)
            && to < from
        {
            self.reject("to", "must not be before from");
        }
        range
    }

    /// Takes the `cursor` of a list of tasks. It must come from the list with this `cursor_filter`.
    pub(crate) fn run_cursor(&mut self, cursor_filter: &str) -> Option<RunId> {
        match self.cursor(cursor_filter)? {
            Cursor::Run(run_id) => Some(run_id),
            Cursor::At(_) => {
                self.reject("cursor", InvalidCursor::Malformed);
                None
            }
        }
    }

    /// Takes the `cursor` of a list that is ordered by time, as [`Self::run_cursor`].
    pub(crate) fn time_cursor(&mut self, cursor_filter: &str) -> Option<Timestamp> {
        match self.cursor(cursor_filter)? {
            Cursor::At(time) => Some(time),
            Cursor::Run(_) => {
                self.reject("cursor", InvalidCursor::Malformed);
                None
            }
        }
    }

    fn cursor(&mut self, cursor_filter: &str) -> Option<Cursor> {
        let text = self.text("cursor")?;
        let cursor = Cursor::decode(&text, cursor_filter);
        cursor
            .map_err(|error: InvalidCursor| self.reject("cursor", error))
            .ok()
    }

    /// Checks that no parameter was wrong, and that none is left.
    ///
    /// # Errors
    ///
    /// [`ApiError::InvalidParameters`] with everything that is wrong.
    pub(crate) fn finish(mut self) -> Result<(), ApiError> {
        for name in std::mem::take(&mut self.given).into_keys() {
            let name: String = name.chars().take(MAX_NAME_CHARS).collect();
            self.reject(name, "is not a known parameter");
        }
        if self.errors.is_empty() {
            return Ok(());
        }
        self.errors.truncate(MAX_ERRORS);
        Err(ApiError::InvalidParameters(self.errors))
    }

    fn text(&mut self, name: &str) -> Option<String> {
        let mut texts = self.given.remove(name)?;
        let text = texts.pop();
        if !texts.is_empty() {
            self.reject(name, "must occur only once");
            return None;
        }
        text
    }
}

fn parse_timestamp(text: &str) -> Option<Timestamp> {
    if let Ok(ms) = text.parse::<i64>() {
        let timestamp = Timestamp::from_millis(ms);
        return (timestamp.as_millis() == ms).then_some(timestamp);
    }
    // A plus sign that is not percent-encoded (`+01:00`) arrives as a space.
    let timestamp = text.parse().or_else(|_| text.replace(' ', "+").parse());
    timestamp.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_can_be_written_in_several_ways() {
        let expected = Some(Timestamp::from_millis(1_763_718_605_000));
        assert_eq!(parse_timestamp("1763718605000"), expected);
        assert_eq!(parse_timestamp("2025-11-21T09:50:05Z"), expected);
        assert_eq!(parse_timestamp("2025-11-21T10:50:05 01:00"), expected);
        for bad in [
            "",
            "-1",
            "yesterday",
            "9223372036854775807",
            "2025-11-21",
            "1e3",
        ] {
            assert_eq!(parse_timestamp(bad), None, "{bad}");
        }
    }
}
