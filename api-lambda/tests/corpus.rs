//! Runs the checks of the fuzz targets on the committed inputs.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "test helpers")]

use std::fs;
use std::path::Path;

use testkit::properties::api::{check_request, check_token};

/// `statuses` has the expected status of some inputs, to make sure that they pass the first checks.
fn each_input_of(target: &str, check: fn(&[u8]) -> Option<u16>, statuses: &[(&str, u16)]) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../dev/fuzz/corpus")
        .join(target);
    let mut inputs = 0;
    for input in fs::read_dir(&directory).unwrap() {
        let path = input.unwrap().path();
        println!("{}", path.display()); // shown if it fails
        let status = check(&fs::read(&path).unwrap());
        let name = path.file_name().unwrap().to_str();
        let mut expected = statuses.iter().filter(|(input, _)| name == Some(input));
        assert!(
            expected.all(|(_, expected)| status == Some(*expected)),
            "{status:?}"
        );
        inputs += 1;
    }
    assert!(inputs > 20, "{inputs} inputs in {}", directory.display());
}

#[test]
fn committed_requests_pass_the_checks() {
    let statuses = [
        ("post", 201),
        ("post-2-63", 201),
        ("post-2-64", 422),
        ("post-deep", 400),
        ("patch", 200),
        ("cursor", 200),
        ("cursor-other", 400),
        ("delete", 204),
        ("delete-run", 204),
        ("get-run", 200),
        ("runs", 200),
        ("patch-stale", 412),
    ];
    each_input_of("request", check_request, &statuses);
}

#[test]
fn committed_tokens_pass_the_checks() {
    let statuses = [
        ("good", 200),
        ("good-list", 200),
        ("scope-write", 403),
        ("alg-none", 401),
    ];
    each_input_of("token", check_token, &statuses);
}
