//! The inputs of the fuzz targets, each through the same checks. What fuzzing finds is put into `dev/fuzz/corpus`, and is
//! tried here ever after.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

use std::fs;
use std::path::Path;

use progress_core::{fold, log_parser};

fn each_input_of(target: &str, check: fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../dev/fuzz/corpus")
        .join(target);
    let mut inputs = 0;
    for input in fs::read_dir(&directory).unwrap() {
        let path = input.unwrap().path();
        println!("{}", path.display()); // shown if it fails
        check(&fs::read(&path).unwrap());
        inputs += 1;
    }
    assert!(inputs > 20, "{inputs} inputs in {}", directory.display());
}

#[test]
fn what_is_known_to_be_hard_is_parsed_as_any_text() {
    each_input_of("parse", log_parser::properties::check);
}

#[test]
fn what_is_known_to_be_hard_is_folded_as_any_log() {
    each_input_of("fold", fold::properties::check);
}
