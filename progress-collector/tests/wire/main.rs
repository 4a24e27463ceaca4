//! CloudWatch Logs on the wire: the production client against an emulator, and against answers and silences
//! that no emulator gives; and the real binary, killed in the midst of its work, at any moment and at each step.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod client;
mod collecting;
mod faults;
mod function;
mod killed;
mod log_group;
mod moto;
mod parts;
mod reading;
mod runtime_api;
mod scripted;
mod sockets;
