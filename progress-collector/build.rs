//! Says how the program is linked.

use std::env;

/// A program that may be anywhere in memory has its 20,000 addresses corrected at each start, and the pages that they
/// are on copied. Heap, stack and libraries are somewhere else each time all the same.
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is_gnu = env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|env| env == "gnu");
    if is_gnu && env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}
