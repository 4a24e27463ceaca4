//! The API as clients see it: requests to the router, with stores and caches in memory.

#![expect(clippy::unwrap_used, reason = "test helpers")]

mod auth;
mod cache;
mod changes;
mod contention;
mod dashboard;
mod docs;
mod harness;
mod head;
mod health;
mod http_semantics;
mod log_tails;
mod logs;
mod lost_responses;
mod overview;
mod paging;
mod problems;
mod projects;
mod properties;
mod runs;
mod sample_events;
mod tasks;
