//! What the program prints fits into 80 columns, and says what to do.

use std::net::TcpListener;

use crate::program::run;

/// Fails if a line is too wide. No line may end with a part of a word: words are joined by their spaces alone.
fn check_width(text: &str) {
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn help_fits_into_80_columns_and_its_words_are_whole() {
    for (arguments, phrase) in [
        (&["--help"][..], "or `-` for standard input; repeatable"),
        (
            &["serve", "--help"],
            "only the dashboard of this server may use the API",
        ),
        (
            &["services", "--help"],
            "The directory to keep the tables in between runs",
        ),
    ] {
        let output = run(arguments, b"");
        let text = String::from_utf8(output.stdout).unwrap();
        check_width(&text);
        let words: Vec<_> = text.split_whitespace().collect();
        assert!(words.join(" ").contains(phrase), "{text}");
    }
}

#[test]
fn the_banner_fits_into_80_columns_and_its_words_are_whole() {
    let directory = tempfile::tempdir().unwrap();
    for number in 0..40 {
        std::fs::write(directory.path().join(format!("deploy-{number}.log")), "a\n").unwrap();
    }
    let path = directory.path().to_str().unwrap();
    let arguments = ["--port", "0", "--no-redis", "--cdk", path, "--log", "-"];
    let output = run(&[&arguments[..], &["--host", "0.0.0.0"]].concat(), b"a\n");
    let text = String::from_utf8(output.stderr).unwrap();
    check_width(&text);
    let words: Vec<_> = text.split_whitespace().collect();
    let words = words.join(" ");
    for phrase in [
        "and 35 more",
        "everybody who can reach this address may read and write",
        "--allow-host NAME allows the name",
    ] {
        assert!(words.contains(phrase), "{text}");
    }
}

#[test]
fn errors_say_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let nowhere = directory.path().join("nowhere/deploy.log");
    let nowhere = nowhere.to_str().unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let file = file.path().to_str().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().port().to_string();
    for (arguments, code, advice) in [
        (&["--cdk", nowhere][..], 2, "create the directory"),
        (&["--name", "shop"], 2, "add `--cdk -`"),
        (&["--cdk", "-", "--log", "-"], 2, "only once"),
        (&["--data", file], 1, "choose another path"),
        (
            &["--host", "192.0.2.1"],
            1,
            "choose another one with --host",
        ),
        (&["--port", &taken], 1, "choose another port with --port"),
    ] {
        let port = ["--port", "0"];
        let port = if arguments.contains(&"--port") {
            &[]
        } else {
            &port[..]
        };
        let output = run(&[port, &["--no-redis"], arguments].concat(), b"");
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{error}");
        assert!(error.contains(advice), "{error}");
    }
}
