//! CloudWatch Logs and EventBridge on the wire: the production client against an emulator, and against answers and silences
//! that no emulator gives; and the real binary, killed in the midst of its work, at any moment and at each step.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod client;
mod collecting;
mod event_faults;
mod fault_points;
mod faults;
mod function;
mod killed;
mod log_group;
mod log_server;
mod moto;
mod notified;
mod parts;
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
