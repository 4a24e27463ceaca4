//! The API as a client meets it: requests into the router, on parts in memory.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod auth;
mod cache;
mod changes;
mod dashboard;
mod docs;
mod health;
mod manners;
mod paging;
mod problems;
mod projects;
mod properties;
mod repeated;
mod sample_events;
mod tasks;
mod world;
