//! A store for tests, and the conformance suite of stores.

pub mod conformance;
pub mod memory;
