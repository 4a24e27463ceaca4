//! Any bytes as what the collector is invoked with: see `testkit::properties::collector`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|event: &[u8]| {
    testkit::properties::collector::check(event);
});
