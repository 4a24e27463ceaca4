//! CloudWatch Logs and EventBridge over HTTP: the production clients against an emulator and
//! against scripted failures. Also the real binary, killed at random moments and at each fault
//! point.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod client;
mod collecting;
mod event_faults;
mod fault_points;
mod faults;
mod function;
mod harness;
mod killed;
mod late;
mod log_group;
mod log_server;
mod memory;
mod moto;
mod published;
mod push_faults;
mod reading;
#[path = "../../../api-lambda/tests/binary/recorded.rs"]
mod recorded;
#[path = "../../../shared/tests/backends/redis_server.rs"]
#[expect(dead_code, reason = "made for the tests of the cache")]
mod redis_server;
mod scripted;
mod secrets;
mod sockets;
#[path = "../collect/stream.rs"]
mod stream;
mod tails;
