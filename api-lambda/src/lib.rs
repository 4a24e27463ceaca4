//! The HTTP API of Miyabi Progress: [`router`] is the whole of it, as a value.
//!
//! Every front door of Lambda (HTTP API, REST API, load balancer, function URL) ends in the same router;
//! what differs between them is settled in `front_door`. Handlers speak of tasks and projects; only
//! `problem` knows which error is which status code.

mod answer;
pub mod auth;
mod body;
mod cors;
mod cursor;
mod envelope;
mod etag;
mod event;
mod fields;
mod front_door;
mod idempotency;
#[cfg(test)]
mod openapi;
mod parameters;
mod problem;
mod request_id;
mod routes;
mod server_timing;
mod state;
pub mod wiring;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use tower::ServiceBuilder;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, Predicate, SizeAbove};

pub use auth::Auth;
pub use cors::Cors;
pub use event::run;
pub use state::ApiState;

/// The least size of an answer that is compressed, in bytes: below, it would not become much smaller.
const MIN_COMPRESSED_BYTES: u64 = 1024;

/// The whole API, for those whom `auth` lets in, and for pages of the origins that `cors` allows.
pub fn router(state: ApiState, auth: Auth, cors: Cors) -> Router {
    let routes = routes::all()
        .fallback(problem::unknown_path)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(DefaultBodyLimit::max(body::MAX_BODY_BYTES))
        .with_state(state);
    // A layer of a router runs after it has chosen the route. These run before: hence a router around
    // the one that chooses.
    let layers = ServiceBuilder::new()
        .layer(from_fn(envelope::outside))
        .option_layer(cors.layer())
        .layer(compression())
        .layer(from_fn_with_state(auth, envelope::inside));
    Router::new().fallback_service(routes).layer(layers)
}

fn compression() -> CompressionLayer<impl Predicate> {
    let is_worth_it = SizeAbove::new(MIN_COMPRESSED_BYTES).and(DefaultPredicate::new());
    CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(is_worth_it)
}
