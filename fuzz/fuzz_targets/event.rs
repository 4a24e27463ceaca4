//! Any bytes as what the collector is invoked with: see `progress_collector::properties`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|event: &[u8]| {
    progress_collector::properties::check(event);
});
