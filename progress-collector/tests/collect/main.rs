//! The collector on in-memory parts: what it reads, what it saves, and what faults can't do to it.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod backlog;
mod crash;
mod damaged;
mod events;
mod notify;
mod races;
mod reading;
mod stream;
mod tasks;
mod world;
