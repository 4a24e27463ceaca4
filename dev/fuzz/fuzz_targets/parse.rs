//! Arbitrary bytes as a log message: see `progress_core::log_parser::properties`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|message: &[u8]| progress_core::log_parser::properties::check(message));
