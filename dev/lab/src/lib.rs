//! Measures the release binaries of the functions, as Lambda runs them, against a function that
//! does nothing.
//!
//! Times depend on the machine and say little by themselves. Compare the ratios within one run.

pub mod chart;
pub mod events;
pub mod faults;
pub mod function;
pub mod logs;
pub mod markdown;
pub mod measure;
pub mod services;
pub mod statistics;
pub mod table;
