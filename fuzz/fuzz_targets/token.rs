//! Any bytes as a token, or as what is signed in one: see `api_lambda::properties`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|token: &[u8]| {
    api_lambda::properties::check_token(token);
});
