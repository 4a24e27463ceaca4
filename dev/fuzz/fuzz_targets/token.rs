//! Arbitrary bytes as a token, or as the signed content of one: see `testkit::properties::api`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|token: &[u8]| {
    testkit::properties::api::check_token(token);
});
