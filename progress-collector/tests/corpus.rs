//! Checks the collector with the inputs of the fuzz target `event`. See `shared/core/tests/corpus`.

use std::fs;
use std::path::Path;

#[test]
fn the_collector_accepts_every_input_of_the_fuzz_corpus() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dev/fuzz/corpus/event");
    let mut inputs = 0;
    for input in fs::read_dir(&directory).unwrap() {
        let path = input.unwrap().path();
        println!("{}", path.display()); // shown if the test fails
        let tasks = testkit::properties::collector::check(&fs::read(&path).unwrap());
        if ["agent", "cdk", "packed", "surrogate", "ids"]
            .contains(&path.file_name().unwrap().to_str().unwrap())
        {
            assert!(tasks > 0, "the input created no task");
        }
        inputs += 1;
    }
    assert!(inputs > 20, "{inputs} inputs in {}", directory.display());
}
