//! Standard input: it is passed on, and its end ends the program.

use std::io::Read;
use std::net::TcpListener;

use crate::program::{Running, run};
use crate::serve::{append, row, wait_for_step};

const SERVE: [&str; 3] = ["--port", "0", "--no-redis"];

#[test]
fn the_end_of_the_input_ends_the_program_as_its_run_ended() {
    let deploy = format!("{}{} ✅  Api\n", row(3), row(4));
    for (option, input, code, state) in [
        ("--cdk", deploy.as_str(), 0, "completed"),
        (
            "--cdk",
            "Api: deploying... [1/1]\n ❌  Api failed: no rights",
            1,
            "failed",
        ),
        ("--agents", "Step 1/3: build\nStep 2/3: test\n", 2, "ended"),
        ("--log", "error: no ink\n", 1, "failed"),
        ("--log", "", 2, "has ended without a line"),
    ] {
        let arguments = [&SERVE[..], &[option, "-", "--name", "shop"]].concat();
        let output = run(&arguments, input.as_bytes());
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{input}\n{error}");
        assert_eq!(output.stdout, input.as_bytes(), "it is passed on as it is");
        let (_, end) = error.split_once("shop has ended").unwrap();
        assert!(end.contains(state) || error.contains(state), "{error}");
        assert!(!error.contains('\u{1b}'), "no colours in a file: {error}");
    }
}

#[test]
fn a_prompt_is_shown_while_the_command_waits_for_the_answer() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let mut program = Running::serve_input(&["--cdk", "-", "--name", "shop", "--agents", path]);
    let prompt = "\u{1b}[1mDo you wish to deploy these changes (y/n)?\u{1b}[0m ";
    program.input(prompt);
    let mut shown = vec![0; prompt.len()];
    program
        .output
        .as_mut()
        .unwrap()
        .read_exact(&mut shown)
        .unwrap();
    assert_eq!(shown, prompt.as_bytes());
    program.input("y\nApi: deploying... [1/1]\n");
    program.input(&row(3));
    append(&directory.path().join("agent.log"), "Step 3/10: build\n");
    let task = wait_for_step(&program, "shop", 3);
    assert_eq!(task["task_id"], "cdk:shop");
    wait_for_step(&program, "agent", 3);
}

#[test]
fn the_program_goes_on_after_its_input_if_it_is_asked_to() {
    let mut program = Running::serve_input(&["--cdk", "-", "--keep"]);
    program.input(&format!("{} ✅  Api\n", row(4)));
    program.end_input();
    while !program
        .next_line()
        .contains("has ended; Ctrl-C ends the server")
    {}
    let task = program.task("stdin").unwrap();
    assert_eq!(task["status"], "completed");
    assert!(program.end("INT").success());
}

/// Ctrl-C goes to all commands of a pipeline. The one in front of the pipe says how it ended.
#[test]
fn the_first_interrupt_is_left_to_the_command_in_front_of_the_pipe() {
    let mut program = Running::serve_input(&["--cdk", "-"]);
    program.input(&row(3));
    program.signal("INT");
    assert!(program.next_line().contains("Ctrl-C again ends at once"));
    program.input(" ❌  Api failed: it was interrupted\n");
    program.end_input();
    assert_eq!(program.wait().code(), Some(1));
    let mut waiting = Running::serve_input(&["--cdk", "-"]);
    waiting.signal("INT");
    assert!(waiting.next_line().contains("Ctrl-C again ends at once"));
    assert!(waiting.end("INT").success());
}

#[test]
fn the_input_is_passed_on_and_its_end_is_told_if_the_port_is_taken() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (end, code, state) in [
        (" ✅  Api\n", 0, "completed"),
        (" ❌  Api failed: no", 1, "failed"),
    ] {
        let input = format!("{}{}{end}", row(3), row(4));
        let arguments = ["--port", &port, "--no-redis", "--keep", "--cdk", "-"];
        let output = run(&arguments, input.as_bytes());
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.stdout, input.as_bytes(), "{error}");
        assert!(error.contains("another process listens there"), "{error}");
        assert!(
            error.contains("without the API") && error.contains(state),
            "{error}"
        );
        assert!(!error.contains("Miyabi Progress is on"), "{error}");
        assert_eq!(output.status.code(), Some(code), "{error}");
    }
}

#[test]
fn the_input_is_passed_on_if_nothing_else_works() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    append(&file, "");
    let data = file.join("data");
    let arguments = [
        &SERVE[..],
        &["--cdk", "-", "--data", data.to_str().unwrap()],
    ]
    .concat();
    let output = run(&arguments, b"a\nb");
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        (output.stdout.as_slice(), output.status.code()),
        (&b"a\nb"[..], Some(2))
    );
    assert!(
        error.contains("--data") && error.contains("passed on"),
        "{error}"
    );
}
