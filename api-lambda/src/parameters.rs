//! What stands in the path and in the query of a request.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use axum::extract::{FromRequestParts, Query, RawPathParams};
use axum::http::request::Parts;
use shared::model::Timestamp;

use crate::cursor::{Cursor, InvalidCursor};
use crate::problem::{ApiError, FieldError};

/// How many entries a list has where `limit` is not given.
pub(crate) const DEFAULT_LIMIT: usize = 50;
/// How many errors an answer lists.
const MAX_ERRORS: usize = 20;
/// How much of an unknown parameter's name is shown.
const MAX_NAME_CHARS: usize = 64;

/// The id in the path, decoded and checked.
pub(crate) struct PathId<T>(pub(crate) T);

impl<S, T> FromRequestParts<S> for PathId<T>
where
    S: Send + Sync,
    T: FromStr<Err: Display>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let rejected = |field: &str, detail: String| {
            let field = field.to_owned();
            ApiError::InvalidParameters(vec![FieldError { field, detail }])
        };
        let parameters = RawPathParams::from_request_parts(parts, state).await;
        let parameters = parameters.map_err(|_| rejected("path", "must be UTF-8".to_owned()))?;
        let Some((name, text)) = parameters.iter().next() else {
            return Err(ApiError::UnknownPath);
        };
        let id = text.parse::<T>();
        id.map(Self)
            .map_err(|error| rejected(name, error.to_string()))
    }
}

/// The parameters of a query, taken one by one. What is wrong is gathered; what is not taken is unknown.
pub(crate) struct Parameters {
    given: BTreeMap<String, Vec<String>>,
    errors: Vec<FieldError>,
}

impl<S: Sync> FromRequestParts<S> for Parameters {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let pairs = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
        let Query(pairs) = pairs.map_err(|_| {
            ApiError::InvalidParameters(vec![FieldError {
                field: "query".to_owned(),
                detail: "must be pairs of names and values".to_owned(),
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

impl Parameters {
    /// Notes what is wrong with a parameter.
    pub(crate) fn reject(&mut self, name: impl Into<String>, detail: impl Display) {
        self.errors.push(FieldError {
            field: name.into(),
            detail: detail.to_string(),
        });
    }

    /// A parameter that may be given once.
    pub(crate) fn one<T>(&mut self, name: &str) -> Option<T>
    where
        T: FromStr<Err: Display>,
    {
        let text = self.text(name)?;
        let value = text.parse();
        value.map_err(|error| self.reject(name, error)).ok()
    }

    /// A parameter that may be given often, or have several values between commas.
    pub(crate) fn many<T>(&mut self, name: &str) -> Vec<T>
    where
        T: FromStr<Err: Display>,
    {
        let texts = self.given.remove(name).unwrap_or_default();
        let values = texts.iter().flat_map(|text| text.split(','));
        let values: Result<Vec<T>, T::Err> = values.map(|text| text.trim().parse()).collect();
        values
            .map_err(|error| self.reject(name, error))
            .unwrap_or_default()
    }

    /// A text of 1 to `most` characters.
    pub(crate) fn text_of(&mut self, name: &str, most: usize) -> Option<String> {
        let text = self.text(name)?;
        let is_short = (1..=most).contains(&text.chars().count());
        if !is_short {
            self.reject(name, format!("must be 1 to {most} characters"));
        }
        is_short.then_some(text)
    }

    /// `limit`: how many entries to answer, 1 to `most`.
    pub(crate) fn limit(&mut self, most: usize) -> usize {
        let Some(text) = self.text("limit") else {
            return DEFAULT_LIMIT;
        };
        match text.parse() {
            Ok(limit) if (1..=most).contains(&limit) => limit,
            _ => {
                self.reject("limit", format!("must be a whole number from 1 to {most}"));
                DEFAULT_LIMIT
            }
        }
    }

    /// A moment, in RFC 3339 or in milliseconds since 1970.
    pub(crate) fn moment(&mut self, name: &str) -> Option<Timestamp> {
        let text = self.text(name)?;
        let moment = parse_moment(&text);
        if moment.is_none() {
            self.reject(
                name,
                "must be an RFC 3339 date and time, or milliseconds since 1970",
            );
        }
        moment
    }

    /// `cursor`: where a list goes on that has this `scope`.
    pub(crate) fn cursor(&mut self, scope: &str) -> Option<Cursor> {
        let text = self.text("cursor")?;
        let cursor = Cursor::decode(&text, scope);
        cursor
            .map_err(|error: InvalidCursor| self.reject("cursor", error))
            .ok()
    }

    /// Ends the taking: an error if anything was wrong, or is left over.
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
            self.reject(name, "must be given once");
            return None;
        }
        text
    }
}

fn parse_moment(text: &str) -> Option<Timestamp> {
    if let Ok(ms) = text.parse::<i64>() {
        let moment = Timestamp::from_millis(ms);
        return (moment.as_millis() == ms).then_some(moment);
    }
    // A plus sign that was not encoded (`+01:00`) arrives as a space.
    let moment = text.parse().or_else(|_| text.replace(' ', "+").parse());
    moment.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_in_several_ways() {
        let moment = Some(Timestamp::from_millis(1_763_718_605_000));
        assert_eq!(parse_moment("1763718605000"), moment);
        assert_eq!(parse_moment("2025-11-21T09:50:05Z"), moment);
        assert_eq!(parse_moment("2025-11-21T10:50:05 01:00"), moment);
        for bad in [
            "",
            "-1",
            "yesterday",
            "9223372036854775807",
            "2025-11-21",
            "1e3",
        ] {
            assert_eq!(parse_moment(bad), None, "{bad}");
        }
    }
}
