//! The real binary, as Lambda runs it.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod recorded;
#[path = "../../../shared/tests/backends/redis_server.rs"]
#[expect(dead_code, reason = "made for the tests of the cache")]
mod redis_server;
mod secrets;
