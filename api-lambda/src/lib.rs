//! The HTTP API of Miyabi Progress: [`router`] is the whole of it, as a value.
//!
//! Every front door of Lambda (HTTP API, REST API, load balancer, function URL) ends in the same router;
//! what differs between them is settled in `front_door`. Handlers speak of tasks and projects; only
//! `problem` knows which error is which status code.

mod answer;
mod body;
mod cursor;
mod etag;
mod fields;
mod front_door;
mod parameters;
mod problem;
mod request_id;
mod routes;
mod state;
pub mod wiring;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;

pub use state::ApiState;

/// The whole API.
pub fn router(state: ApiState) -> Router {
    let routes = Router::new()
        .merge(routes::health::routes())
        .merge(routes::tasks::routes())
        .merge(routes::projects::routes())
        .merge(routes::dashboard::routes())
        .fallback(problem::unknown_path)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(DefaultBodyLimit::max(body::MAX_BODY_BYTES))
        .with_state(state);
    // A layer of a router runs after it has chosen the route. These run before: hence a router around
    // the one that chooses.
    let layers = ServiceBuilder::new()
        .layer(from_fn(request_id::assign))
        .layer(from_fn(front_door::normalize))
        .layer(from_fn(problem::render))
        .layer(from_fn(answer::finish))
        .layer(CatchPanicLayer::custom(problem::of_panic));
    Router::new().fallback_service(routes).layer(layers)
}
