//! `progress run` in front of a command, with the program as the service.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::program::{Running, program, wait_for};

/// `progress run` in front of a shell script, for the task `run:paint`.
fn progress_run(service: &str, script: &str) -> Command {
    let path = Path::new(env!("CARGO_BIN_EXE_local")).with_file_name("progress");
    assert!(path.exists(), "cargo build -p cli makes the program");
    let mut command = Command::new(path);
    command.args([
        "run", "--quiet", "--name", "paint", "--", "sh", "-c", script,
    ]);
    command.env("PROGRESS_URL", format!("http://{service}"));
    command.env_remove("PROGRESS_TOKEN");
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn wait_for_paint(program: &Running, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    wait_for(what, || {
        let task = program.task("paint")?;
        is_it(&task).then_some(task)
    })
}

/// The status and the step of each run, the newest first.
fn runs(program: &Running) -> Vec<(String, u64)> {
    let runs = program.get("/api/tasks/run:paint/runs");
    let runs = runs["runs"].as_array().unwrap().iter();
    let run = |run: &Value| {
        let status = run["status"].as_str().unwrap().to_owned();
        (status, run["progress"]["current"].as_u64().unwrap())
    };
    runs.map(run).collect()
}

#[test]
fn a_command_is_a_run_from_its_start_to_its_exit() {
    let directory = tempfile::tempdir().unwrap();
    let program = Running::serve(&["--no-redis", "--agents", directory.path().to_str().unwrap()]);
    let service = program.address("Miyabi Progress");
    let script = "echo '[1/3] painting'; echo '12 passed in 3.20s'; echo 'error: no ink'; exit 3";
    let status = progress_run(&service, script).status().unwrap();
    assert_eq!(status.code(), Some(3));
    let task = wait_for_paint(&program, "the end", |task| task["status"] == "failed");
    assert_eq!(task["failure"]["cause"], "error: no ink");
    assert_eq!(runs(&program), [("failed".to_owned(), 1)]);
}

#[test]
fn a_killed_progress_run_loses_and_doubles_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let logs = directory.path().to_str().unwrap();
    let arguments = ["serve", "--port", "0", "--no-redis", "--agents", logs];
    let mut command = self::program(&arguments);
    command.env("STALE_AFTER_SECONDS", "2");
    let program = Running::spawn(command, "End");
    let service = program.address("Miyabi Progress");
    let mut killed = progress_run(&service, "echo '[2/3] painting'; exec sleep 60")
        .spawn()
        .unwrap();
    wait_for_paint(&program, "the line", |task| {
        task["progress"]["current"] == 2
    });
    killed.kill().unwrap();
    killed.wait().unwrap();
    let again = progress_run(&service, "echo '[3/3] painting'").status();
    assert!(again.unwrap().success());
    wait_for_paint(&program, "the next run", |task| {
        task["status"] == "completed"
    });
    // The killed one may be alive, until it has been silent for long.
    let expected = [("completed".to_owned(), 3), ("ended".to_owned(), 2)];
    wait_for("the end of the killed run", || {
        (runs(&program) == expected).then_some(())
    });
}

#[test]
fn a_killed_service_gets_the_rest_when_it_is_back() {
    let data = tempfile::tempdir().unwrap();
    let logs = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let arguments = [
        "serve",
        "--port",
        &port.to_string(),
        "--no-redis",
        "--data",
        data.path().to_str().unwrap(),
        "--agents",
        logs.path().to_str().unwrap(),
    ];
    let service = format!("127.0.0.1:{port}");
    let first = Running::spawn(program(&arguments), "End");
    let script = "for step in $(seq 1 40); do echo \"[$step/40] painting\"; sleep 0.1; done";
    let mut command = progress_run(&service, script).spawn().unwrap();
    let seen = wait_for_paint(&first, "some lines", |task| {
        task["progress"]["current"].as_u64() >= Some(5)
    });
    first.end("KILL");
    std::thread::sleep(Duration::from_millis(500));
    let second = Running::spawn(program(&arguments), "End");
    let kept = second.get("/api/tasks/run:paint");
    assert!(kept["progress"]["current"].as_u64() >= seen["progress"]["current"].as_u64());
    assert!(command.wait().unwrap().success());
    wait_for_paint(&second, "the end", |task| task["status"] == "completed");
    assert_eq!(runs(&second), [("completed".to_owned(), 40)]);
}
