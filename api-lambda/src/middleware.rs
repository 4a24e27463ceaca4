//! The steps around every handler, in order.
//!
//! There are two layers, not one for each step, because each layer copies the request and the
//! response.

use std::panic::AssertUnwindSafe;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures::FutureExt as _;

use crate::auth::Auth;
use crate::request_id::RequestId;
use crate::request_meta::RequestMeta;
use crate::{api_gateway, etag, problem, request_id, response, server_timing};

/// The outer layer. It is around the compression of responses and around CORS.
pub(crate) async fn outer(mut request: Request, next: Next) -> Response {
    let request_id = RequestId::of(&request);
    request.extensions_mut().insert(request_id.clone());
    api_gateway::normalize(&mut request);
    // HEAD is handled as GET, so that the headers are the same.
    let is_head = request.method() == Method::HEAD;
    if is_head {
        *request.method_mut() = Method::GET;
    }
    let mut response = next.run(request).await;
    if is_head {
        *response.body_mut() = Body::empty();
    }
    etag::weaken_if_compressed(&mut response);
    request_id::set_header(&mut response, request_id);
    response
}

/// The inner layer. It authenticates the request, and completes the response of the handler.
pub(crate) async fn inner(State(auth): State<Auth>, mut request: Request, next: Next) -> Response {
    let meta = RequestMeta::of(&request);
    let handled = async {
        match auth.authorize(&mut request) {
            Ok(()) => next.run(request).await,
            Err(error) => error.into_response(),
        }
    };
    // A handler that panics leaves no shared state behind.
    let handled = AssertUnwindSafe(handled).catch_unwind();
    let (outcome, waits) = shared::server_timing::measure(handled).await;
    let mut response = outcome.unwrap_or_else(problem::of_panic);
    server_timing::set_header(&mut response, waits);
    response::add_common_headers(&meta, &mut response);
    problem::render(&meta, &mut response);
    response
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::to_bytes;
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use shared::config::Settings;
    use tower::ServiceExt as _;

    use super::*;
    use crate::auth::{Principal, Scope};

    /// The principal that a handler receives.
    async fn principal(auth: Auth, path: &str) -> String {
        let show = async |principal: Principal| {
            let scopes = (principal.may(Scope::Read), principal.may(Scope::Write));
            format!("{:?} {scopes:?}", principal.subject())
        };
        let router = Router::new()
            .route("/health", get(show))
            .route("/api/tasks", get(show))
            .layer(from_fn_with_state(auth, inner));
        // Signed with `openssl`, until 2286: {"sub":"ci","exp":9999999999,"scope":"progress:read"}.
        let access_token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjaSIsImV4cCI6OTk5OTk5OTk5OSwic2NvcGUiOiJwcm9ncmVzczpyZWFkIn0._aXe-qNEdkrGiBmQoaO6Ul7FjN5gL3yAwRaFpsWqKUc";
        let request = Request::get(path).header("authorization", format!("Bearer {access_token}"));
        let request = request.body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        let body = to_bytes(response.into_body(), 1000).await.unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    fn auth_with_secret() -> Auth {
        let secret = "0123456789abcdef0123456789abcdef";
        let lookup = |name: &str| (name == "AUTH_HS256_SECRET").then(|| secret.to_owned());
        Auth::from_settings(&Settings::new(&lookup)).unwrap()
    }

    #[tokio::test]
    async fn a_handler_receives_the_principal() {
        let authenticated = principal(auth_with_secret(), "/api/tasks").await;
        assert_eq!(authenticated, r#"Some("ci") (true, false)"#);
        let without_auth = principal(Auth::none(), "/api/tasks").await;
        assert_eq!(without_auth, "None (true, true)");
        let open_route = principal(auth_with_secret(), "/health").await;
        assert_eq!(open_route, "None (false, false)");
    }
}
