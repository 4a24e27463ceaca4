//! Parts for the tests of Miyabi Progress: in-memory stores, fault injection, conformance suites,
//! emulators and the oracle.
//!
//! No product crate depends on this one outside its dev-dependencies. The embedded DynamoDB and the
//! redis-server process belong to `local`; they are re-exported here.
#![allow(clippy::unwrap_used, reason = "a check fails by panicking")]

pub mod cache;
pub mod checkpoint;
pub mod event_sink;
pub mod faults;
pub mod log_source;
pub mod object_source;
pub mod oracle;
pub mod properties;
pub mod push_sink;
pub mod read_meter;
pub mod runtime_api;
pub mod store;

pub use local::{embedded_dynamodb, redis_process};
