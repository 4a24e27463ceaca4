//! The inputs of the fuzz target, each through the same checks: see `shared/core/tests/corpus`.

use std::fs;
use std::path::Path;

#[test]
fn what_is_known_to_be_hard_is_taken_as_any_event() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dev/fuzz/corpus/event");
    let mut inputs = 0;
    for input in fs::read_dir(&directory).unwrap() {
        let path = input.unwrap().path();
        println!("{}", path.display()); // shown if it fails
        let tasks = testkit::properties::collector::check(&fs::read(&path).unwrap());
        if ["agent", "cdk", "packed", "surrogate", "ids"]
            .contains(&path.file_name().unwrap().to_str().unwrap())
        {
            assert!(tasks > 0, "nothing came of it");
        }
        inputs += 1;
    }
    assert!(inputs > 20, "{inputs} inputs in {}", directory.display());
}
