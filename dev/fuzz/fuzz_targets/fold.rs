//! Arbitrary bytes as a log, delivered in any order: see `progress_core::fold::properties`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|delivery: &[u8]| progress_core::fold::properties::check(delivery));
