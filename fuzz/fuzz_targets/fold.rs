//! Any bytes as a log that is delivered in any way: see `shared::fold::properties`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|delivery: &[u8]| shared::fold::properties::check(delivery));
