//! The responses to writes, which depend on what the caller may read.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::header::LOCATION;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use shared::task_reader::Representation;

use crate::api_gateway::BasePath;
use crate::auth::{Principal, Scope};
use crate::etag::tagged;
use crate::response::JsonBytes;

/// Makes the responses to writes.
///
/// A caller who may not read gets 204 without a body. `Location` and `ETag` tell where the written
/// state is, and which one it is.
pub(crate) struct WriteResponse {
    base: BasePath,
    /// Whether the caller may read what was written.
    pub(crate) may_read: bool,
}

impl<S: Sync> FromRequestParts<S> for WriteResponse {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let base = BasePath::from_request_parts(parts, state).await?;
        let caller = Principal::from_request_parts(parts, state).await?;
        let may_read = caller.may(Scope::Read);
        Ok(Self { base, may_read })
    }
}

impl WriteResponse {
    /// The response for a new resource at `path`: 201, or 204.
    pub(crate) fn created(&self, path: &str, written: Representation) -> Response {
        let mut response = self.changed(path, written);
        if self.may_read {
            *response.status_mut() = StatusCode::CREATED;
            self.set_location(&mut response, path);
        }
        response
    }

    /// The response for a changed resource at `path`: 200, or 204.
    pub(crate) fn changed(&self, path: &str, written: Representation) -> Response {
        let Representation { validator, json } = written;
        if self.may_read {
            return tagged(JsonBytes(json).into_response(), &validator);
        }
        let mut response = StatusCode::NO_CONTENT.into_response();
        self.set_location(&mut response, path);
        tagged(response, &validator)
    }

    fn set_location(&self, response: &mut Response, path: &str) {
        let base = self.base.as_str();
        if let Ok(location) = HeaderValue::try_from(format!("{base}{path}")) {
            response.headers_mut().insert(LOCATION, location);
        }
    }
}
