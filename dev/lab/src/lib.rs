//! Measures the release binaries of the functions, as Lambda runs them, against a function that does nothing.
//!
//! All times are of this machine and say little by themselves; the ratios of one run are what counts.

pub mod chart;
pub mod events;
pub mod faults;
pub mod function;
pub mod logs;
pub mod markdown;
pub mod measure;
pub mod runtime_api;
pub mod services;
pub mod statistics;
pub mod table;
