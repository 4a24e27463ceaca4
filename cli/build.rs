//! Sets how the program is linked.

use std::env;

/// Links for a fixed address. The list of addresses that a position-independent program corrects at
/// each start is a sixteenth of its size. The heap, the stack and the libraries are still at random
/// addresses.
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is_gnu = env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|env| env == "gnu");
    if is_gnu && env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}
