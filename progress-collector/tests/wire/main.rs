//! CloudWatch Logs on the wire: the production client against an emulator, and against answers and silences
//! that no emulator gives.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod client;
mod collecting;
mod faults;
mod log_group;
mod moto;
mod parts;
mod reading;
mod scripted;
mod sockets;
