//! Metadata of a request that outlives its handler.

use axum::extract::Request;
use axum::http::{Method, Uri};

use crate::request_id::RequestId;

/// The parts of a request that are needed to complete its response. The handler consumes the
/// request.
pub(crate) struct RequestMeta {
    pub(crate) request_id: RequestId,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
}

impl RequestMeta {
    /// Copies the metadata of `request`.
    pub(crate) fn of(request: &Request) -> Self {
        Self {
            request_id: RequestId::of(request),
            method: request.method().clone(),
            uri: request.uri().clone(),
        }
    }

    /// Whether the method is GET. HEAD has become GET before.
    pub(crate) fn is_read(&self) -> bool {
        self.method == Method::GET
    }
}
