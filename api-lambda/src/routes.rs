//! The routes, a file for each resource.

pub(crate) mod dashboard;
pub(crate) mod health;
pub(crate) mod projects;
pub(crate) mod tasks;
