//! The collector on in-memory stores: what it reads, what it saves, and how it recovers from
//! faults.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod backlog;
mod crash;
mod damaged;
mod events;
mod harness;
mod late;
mod limits;
mod objects;
mod publish;
mod push_messages;
mod queue;
mod races;
mod reading;
mod silence;
mod stream;
mod tasks;
