//! The pure core of Miyabi Progress: records, log parsing and folding.
//!
//! 1. [`log_parser`] turns a log line into [`Observation`](log_parser::Observation)s.
//! 2. [`fold`] folds observations and other facts into the [`Run`](fold::Run)s of a task.
//! 3. [`record`] turns runs into [`Task`](model::Task)s, and says what a writer must store.
//!
//! The crate is synchronous, does no I/O and reads no clock: callers pass the time in. It does not
//! depend on AWS, Redis or HTTP, so it builds, tests and fuzzes in seconds.

pub mod batch;
pub mod error;
pub mod fold;
pub mod log_event;
pub mod log_file;
pub mod log_link;
pub mod log_parser;
pub mod log_tail;
pub mod model;
pub mod record;
pub mod secrets;
pub mod view;
