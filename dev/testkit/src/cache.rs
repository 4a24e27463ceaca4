//! A cache for tests, and the conformance suite of caches.

pub mod conformance;
pub mod memory;
