//! Arbitrary bytes as an event of the collector: see `testkit::properties::collector`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|event: &[u8]| {
    testkit::properties::collector::check(event);
});
