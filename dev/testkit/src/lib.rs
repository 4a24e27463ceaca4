//! What the tests of Miyabi Progress share: in-memory and faulty parts, conformance suites, samples.
//!
//! No product crate depends on this one outside its dev-dependencies. The embedded DynamoDB and the
//! redis-server process belong to `local`; they are re-exported here.
#![allow(clippy::unwrap_used, reason = "a check fails by panicking")]

pub mod cache;
pub mod checkpoint;
pub mod event_sink;
pub mod faults;
pub mod log_source;
pub mod properties;
pub mod store;

pub use local::{embedded_dynamodb, redis_process};
