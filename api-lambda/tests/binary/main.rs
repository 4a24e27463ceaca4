//! The real binary, run as Lambda runs it.

#![expect(clippy::unwrap_used, reason = "test helpers")]

mod recorded;
#[path = "../../../shared/tests/backends/redis_server.rs"]
#[expect(dead_code, reason = "the tests of the cache use all of it")]
mod redis_server;
mod secrets;
