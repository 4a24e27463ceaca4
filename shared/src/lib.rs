//! What both functions of Miyabi Progress stand on.
//!
//! A log line becomes an [`Observation`](log_parser::Observation), observations are folded into a
//! [`Ledger`](fold::Ledger), and a ledger shows as a [`Task`](model::Task). Tasks live in a
//! [`TaskStore`](store::TaskStore) and are served from a [`TaskCache`](cache::TaskCache).
//!
//! This crate knows nothing of HTTP or of the Lambda runtime. `model`, `log_parser` and `fold` do no
//! I/O and read no clock.

pub mod aws;
pub mod cache;
pub mod checkpoint;
pub mod config;
pub mod error;
pub mod event_sink;
#[cfg(any(test, feature = "test-util"))]
pub mod faults;
pub mod fold;
pub mod log_parser;
pub mod log_source;
pub mod model;
pub mod retry;
pub mod stopwatch;
pub mod store;
pub mod task_reader;
pub mod telemetry;
