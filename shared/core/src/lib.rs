//! The pure heart of Miyabi Progress.
//!
//! A log line becomes an [`Observation`](log_parser::Observation), observations are folded into a
//! [`Ledger`](fold::Ledger), and a ledger shows as a [`Task`](model::Task).
//!
//! Nothing here is asynchronous, does I/O or reads a clock: a moment is passed in. The crate knows no AWS,
//! Redis or HTTP, so it builds, tests and fuzzes in seconds.

pub mod batch;
pub mod error;
pub mod fold;
pub mod log_event;
pub mod log_file;
pub mod log_parser;
pub mod model;
pub mod view;
