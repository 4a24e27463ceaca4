//! The routes, a file for each resource.

pub(crate) mod dashboard;
pub(crate) mod docs;
pub(crate) mod health;
pub(crate) mod projects;
pub(crate) mod tasks;

use axum::Router;

use crate::state::ApiState;

/// All of them.
pub(crate) fn all() -> Router<ApiState> {
    Router::new()
        .merge(health::routes())
        .merge(dashboard::routes())
        .merge(docs::routes())
        .merge(tasks::routes())
        .merge(projects::routes())
}
