//! Prepares the files of the dashboard. It hashes them for their names, and compresses them.
//!
//! The hash in the name lets browsers store a file forever. The build needs no Node, because
//! `assets/dist` is in the repository.

use std::io::Write as _;
use std::path::Path;
use std::{env, fs};

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    link_at_a_fixed_address();
    let out = env::var("OUT_DIR")?;
    let mut page = read("assets/index.html")?;
    for (name, variable) in [("dashboard.css", "CSS"), ("dashboard.js", "JS")] {
        let content = read(&format!("assets/dist/{name}"))?;
        let hash = hash(&content);
        println!("cargo::rustc-env=DASHBOARD_{variable}_HASH={hash}");
        fs::write(Path::new(&out).join(format!("{name}.gz")), gzip(&content)?)?;
        // The page contains the names of both files, so it changes when they do.
        page.extend_from_slice(hash.as_bytes());
    }
    println!("cargo::rustc-env=DASHBOARD_PAGE_HASH={}", hash(&page));
    Ok(())
}

/// Turns off position-independent code to save time at each start.
///
/// The loader would relocate 20,000 addresses, and copy the pages they are on. Heap, stack and
/// libraries still get random addresses.
fn link_at_a_fixed_address() {
    let is_gnu = env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|env| env == "gnu");
    if is_gnu && env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}

fn read(path: &str) -> Result<Vec<u8>> {
    println!("cargo::rerun-if-changed={path}");
    fs::read(path).map_err(|error| format!("{path}: {error}").into())
}

/// The first 8 bytes of the SHA-256: enough to tell versions apart.
fn hash(content: &[u8]) -> String {
    let bytes = Sha256::digest(content);
    bytes
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn gzip(content: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content)?;
    Ok(encoder.finish()?)
}
