//! The pure core of Miyabi Progress: records, log parsing and folding.
//!
//! 1. [`log_parser`] turns a log line into [`Observation`](log_parser::Observation)s.
//! 2. [`fold`] folds observations into a [`Ledger`](fold::Ledger), one for each task.
//! 3. [`fold::fold_into_task`] turns a ledger into a [`Task`](model::Task).
//!
//! The crate is synchronous, does no I/O and reads no clock: callers pass the time in. It does not
//! depend on AWS, Redis or HTTP, so it builds, tests and fuzzes in seconds.

pub mod batch;
pub mod error;
pub mod fold;
pub mod log_event;
pub mod log_file;
pub mod log_parser;
pub mod model;
pub mod view;
