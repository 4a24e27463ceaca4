//! What happens to every request before its handler has it, and to every answer after: the order of it, in one place.
//!
//! These are two layers and not one for each concern, as each would copy the request and the answer on their way.

use std::panic::AssertUnwindSafe;

use axum::extract::{Request, State};
use axum::http::{Method, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures::FutureExt as _;

use crate::request_id::RequestId;
use crate::{Auth, answer, etag, front_door, problem, request_id, server_timing};

/// What is still known of a request once its handler has taken it.
pub(crate) struct Asked {
    pub(crate) request_id: RequestId,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
}

impl Asked {
    /// Whether nothing is to be changed.
    pub(crate) fn is_read(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD)
    }
}

/// Around what encodes answers for their way: who asks, and by which front door.
pub(crate) async fn outside(mut request: Request, next: Next) -> Response {
    let request_id = RequestId::of(&request);
    request.extensions_mut().insert(request_id.clone());
    front_door::normalize(&mut request);
    let mut response = next.run(request).await;
    etag::weaken(&mut response);
    request_id::put_on(&mut response, request_id);
    response
}

/// Around the handlers: who may ask, and what every answer has.
pub(crate) async fn inside(State(auth): State<Auth>, mut request: Request, next: Next) -> Response {
    let asked = Asked {
        request_id: RequestId::of(&request),
        method: request.method().clone(),
        uri: request.uri().clone(),
    };
    let handled = async {
        match auth.admit(&mut request) {
            Ok(()) => next.run(request).await,
            Err(refusal) => refusal.into_response(),
        }
    };
    // What a handler leaves behind when it panics is its own alone.
    let handled = AssertUnwindSafe(handled).catch_unwind();
    let (outcome, waits) = shared::server_timing::measure(handled).await;
    let mut response = outcome.unwrap_or_else(problem::of_panic);
    server_timing::put_on(&mut response, waits);
    answer::finish(&asked, &mut response);
    problem::render(&asked, &mut response);
    response
}
