//! Any bytes as a request to the API: see `api_lambda::properties`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|request: &[u8]| {
    api_lambda::properties::check_request(request);
});
