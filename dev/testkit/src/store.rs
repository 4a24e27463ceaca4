//! Stores for tests, and the contract that every store keeps.

pub mod conformance;
pub mod faulty;
pub mod memory;
