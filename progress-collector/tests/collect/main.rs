//! The collector on in-memory parts: what it reads, what it saves, and what faults can't do to it.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod backlog;
mod crash;
mod damaged;
#[expect(dead_code, reason = "shared with the tests of the binary")]
mod embedded;
mod events;
mod notify;
mod races;
mod reading;
mod tasks;
mod world;
