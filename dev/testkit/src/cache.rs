//! Caches for tests, and the contract that every cache keeps.

pub mod conformance;
pub mod faulty;
pub mod memory;
