//! The library of both functions: stores, cache, log sources, and how they work together.
//!
//! The crate `progress-core` has the records, log parsing and folding, and is re-exported here. A
//! [`TaskStore`](store::TaskStore) stores tasks, and a [`TaskCache`](cache::TaskCache) holds copies
//! of them for the API. [`ingest`] is the only way in which log lines become stored tasks.
//!
//! This crate knows nothing of HTTP routes or of the Lambda runtime.

pub mod aws;
pub mod cache;
pub mod checkpoint;
pub mod config;
pub mod event_sink;
pub mod fault_point;
pub mod ingest;
pub mod log_source;
pub mod object_source;
pub mod push_sink;
pub mod retry;
pub mod server_timing;
pub mod store;
pub mod task_reader;
pub mod telemetry;
pub mod validator;

pub use progress_core::{
    batch, error, fold, log_event, log_file, log_link, log_parser, log_tail, model, record,
    secrets, view,
};
