//! Requests to an API in memory, and checks of the responses.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt as _;

pub(super) fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

/// A response and its whole body.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Response {
    pub(super) async fn to(request: Request<Body>, router: &Router) -> Self {
        let response = router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Self {
            status: parts.status,
            headers: parts.headers,
            body: body.to_vec(),
        }
    }

    /// Checks that there is no server error, and that a client error is reported as a problem.
    pub(super) fn assert_sound(&self) {
        assert!(!self.status.is_server_error(), "{self:?}");
        for value in self.headers.values() {
            assert!(value.to_str().is_ok(), "{value:?}"); // visible ASCII, and tabs
        }
        if self.status.is_client_error() && !self.body.is_empty() {
            assert_eq!(self.headers["content-type"], "application/problem+json");
            assert_eq!(self.json()["status"], self.status.as_u16());
        }
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}
