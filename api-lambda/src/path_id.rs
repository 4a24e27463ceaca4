//! The id in the path of a request.

use std::fmt::Display;
use std::str::FromStr;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;

use crate::problem::{ApiError, FieldError};

/// The first parameter of the path, percent-decoded and parsed.
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
        let parameters = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|_| rejected("path", "must be UTF-8".to_owned()))?;
        let Some((name, text)) = parameters.iter().next() else {
            return Err(ApiError::UnknownPath);
        };
        text.parse()
            .map(Self)
            .map_err(|error: T::Err| rejected(name, error.to_string()))
    }
}
