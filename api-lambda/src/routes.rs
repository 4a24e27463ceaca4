//! The routes, one file for each resource.

pub(crate) mod dashboard;
pub(crate) mod docs;
mod health;
mod logs;
mod overview;
mod projects;
mod push;
mod tasks;

use axum::Router;

use crate::state::ApiState;

/// All routes.
pub(crate) fn all() -> Router<ApiState> {
    Router::new()
        .merge(health::routes())
        .merge(dashboard::routes())
        .merge(docs::routes())
        .merge(overview::routes())
        .merge(tasks::routes())
        .merge(logs::routes())
        .merge(projects::routes())
        .merge(push::routes())
}

/// The OpenAPI descriptions of all routes, one for each resource.
#[cfg(test)]
pub(crate) fn descriptions() -> [utoipa::openapi::OpenApi; 7] {
    use utoipa::OpenApi as _;

    [
        overview::Description::openapi(),
        tasks::Description::openapi(),
        logs::Description::openapi(),
        projects::Description::openapi(),
        push::Description::openapi(),
        health::Description::openapi(),
        docs::Description::openapi(),
    ]
}
