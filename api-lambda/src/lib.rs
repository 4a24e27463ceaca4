//! The HTTP API of Miyabi Progress. [`router`] returns the whole API as a value.
//!
//! API Gateway (HTTP and REST APIs), function URLs and load balancers all lead to the same router.
//! `api_gateway` handles their differences. Handlers work with tasks and projects; only `problem`
//! knows which error has which status code.

mod api_gateway;
pub mod auth;
mod cors;
mod cursor;
mod digest;
mod etag;
mod idempotency;
mod json_body;
mod lambda_event;
mod middleware;
#[cfg(test)]
mod openapi;
mod path_id;
mod problem;
mod push;
mod query;
mod request_id;
mod request_meta;
mod response;
mod retry_on_conflict;
mod routes;
mod server_timing;
mod state;
pub mod wiring;
mod write_response;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use tower::ServiceBuilder;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, Predicate, SizeAbove};

pub use auth::Auth;
pub use cors::Cors;
pub use lambda_event::run;
pub use push::PushEndpoint;
pub use state::ApiState;

/// The smallest response that is compressed, in bytes. Smaller ones would hardly shrink.
const MIN_COMPRESSED_BYTES: u64 = 1024;

/// The whole API. `auth` decides which requests are allowed, and `cors` which other origins.
pub fn router(state: ApiState, auth: Auth, cors: Cors) -> Router {
    let routes = routes::all()
        .fallback(problem::unknown_path)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(DefaultBodyLimit::max(json_body::MAX_BODY_BYTES))
        .with_state(state);
    // A layer of a router runs after routing. These layers must run before it, so they are on an
    // outer router.
    let layers = ServiceBuilder::new()
        .layer(from_fn(middleware::outer))
        .option_layer(cors.layer())
        .layer(compression())
        .layer(from_fn_with_state(auth, middleware::inner));
    Router::new().fallback_service(routes).layer(layers)
}

fn compression() -> CompressionLayer<impl Predicate> {
    let is_worth_it = SizeAbove::new(MIN_COMPRESSED_BYTES).and(DefaultPredicate::new());
    CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(is_worth_it)
}
