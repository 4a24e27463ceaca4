//! Checks that hold for any input, for property tests and fuzzing.
//!
//! The checks of `progress_core` are there, behind its feature `properties`.

pub mod api;
pub mod collector;
