//! Arbitrary bytes as a request to the API: see `testkit::properties::api`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|request: &[u8]| {
    testkit::properties::api::check_request(request);
});
