//! CloudWatch Logs and EventBridge on the wire: the production client against an emulator, and against answers and silences
//! that no emulator gives; and the real binary, killed in the midst of its work.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod client;
mod collecting;
#[path = "../collect/embedded.rs"]
#[expect(dead_code, reason = "made for the tests of the collector in process")]
mod embedded;
mod event_faults;
mod faults;
mod killed;
mod log_group;
mod moto;
mod notified;
mod parts;
mod reading;
mod runtime_api;
mod scripted;
mod sockets;
