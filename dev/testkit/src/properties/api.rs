//! What holds of the answer to any request, for tests and for fuzzing.

mod request;
mod token;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt as _;

pub use request::check as check_request;
pub use token::check as check_token;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

/// An answer, read to its end.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    async fn to(request: Request<Body>, router: &Router) -> Self {
        let response = router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Self {
            status: parts.status,
            headers: parts.headers,
            body: body.to_vec(),
        }
    }

    /// Checks that the fault is not ours, and that who made it is told so in the one way that there is.
    fn assert_sound(&self) {
        assert!(!self.status.is_server_error(), "{self:?}");
        for value in self.headers.values() {
            assert!(value.to_str().is_ok(), "{value:?}"); // visible ASCII, and tabs
        }
        if self.status.is_client_error() && !self.body.is_empty() {
            assert_eq!(self.headers["content-type"], "application/problem+json");
            assert_eq!(self.json()["status"], self.status.as_u16());
        }
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}
