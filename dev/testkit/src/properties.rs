//! Checks that hold for any input, for property tests and fuzzing.
//!
//! Those of the pure heart are in `progress_core`, behind its feature `properties`.

pub mod api;
pub mod collector;
