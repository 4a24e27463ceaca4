//! Tests of `serve`.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use crate::program::{Running, program, run, wait_for};

pub(crate) fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

pub(crate) fn row(current: u32) -> String {
    format!(
        "Api | {current}/4 | 9:15:04 AM | CREATE_COMPLETE      | AWS::SQS::Queue | Q{current} (Q{current}A)\n"
    )
}

pub(crate) fn wait_for_step(
    program: &Running,
    log_stream: &str,
    current: u32,
) -> serde_json::Value {
    wait_for("the step of the task", || {
        let task = program.task(log_stream)?;
        (task["progress"]["current"] == current).then_some(task)
    })
}

#[test]
fn samples_make_progress_and_redis_ends_with_the_program() {
    let program = Running::serve(&[]);
    wait_for("a task with progress", || {
        let task = program.task("shop-deploy")?;
        (task["progress"]["percentage"].as_u64()? > 0).then_some(())
    });
    let project = wait_for("the project", || {
        let project = program.get("/api/projects/sample-shop");
        (project["metrics"]["running"].as_u64()? > 0).then_some(project)
    });
    assert_eq!(project["project_id"], "sample-shop");
    let redis = program.address("Redis");
    assert!(TcpStream::connect(&redis).is_ok());
    assert!(program.end("INT").success());
    assert!(
        TcpStream::connect(&redis).is_err(),
        "its redis-server must end too"
    );
}

#[test]
fn new_lines_of_a_followed_file_update_its_task() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deploy.log");
    let program = Running::serve(&["--no-redis", "--cdk", path.to_str().unwrap()]);
    append(&path, "Api: deploying... [1/1]\n");
    append(&path, &row(1));
    wait_for_step(&program, "deploy", 1);
    append(&path, &row(2));
    let task = wait_for_step(&program, "deploy", 2);
    assert_eq!(task["status"], "running");
    append(&path, " ✅  Api\n");
    wait_for("the end of the task", || {
        let task = program.task("deploy")?;
        (task["status"] == "completed").then_some(())
    });
    assert!(program.end("TERM").success());
}

#[test]
fn data_survives_a_restart_without_duplicates() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("deploy.log");
    let data = directory.path().join("data");
    let arguments = [
        "--data",
        data.to_str().unwrap(),
        "--cdk",
        log.to_str().unwrap(),
    ];
    let arguments = [&["--no-redis"], &arguments[..]].concat();
    append(&log, "Api: deploying... [1/1]\n");
    append(&log, &row(1));
    let program = Running::serve(&arguments);
    let before = wait_for_step(&program, "deploy", 1);
    append(&log, &row(2));
    let before_end = wait_for_step(&program, "deploy", 2);
    assert_eq!(before["run"], before_end["run"]);

    let busy = run(&[&["--port", "0"], &arguments[..]].concat(), b"");
    let error = String::from_utf8(busy.stderr).unwrap();
    assert!(!busy.status.success());
    assert!(error.contains("another process uses it"), "{error}");

    assert!(program.end("INT").success());
    append(&log, &row(3));
    let program = Running::serve(&arguments);
    let after = wait_for_step(&program, "deploy", 3);
    for same in ["task_id", "run", "started_at", "created_at"] {
        assert_eq!(after[same], before[same], "{same}");
    }
}

#[test]
fn the_error_for_a_port_in_use_names_the_option() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = run(&["--port", &port], b"");
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(error.contains(&port) && error.contains("--port"), "{error}");
}

#[test]
fn requests_need_a_token_if_auth_mode_is_jwt() {
    const SECRET: &str = "a-secret-for-tests-that-is-long-enough";
    // Signed with it: {"sub":"tester","exp":9999999999,"scope":"progress:read"}.
    const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9\
        .eyJzdWIiOiJ0ZXN0ZXIiLCJleHAiOjk5OTk5OTk5OTksInNjb3BlIjoicHJvZ3Jlc3M6cmVhZCJ9\
        .sfG-vvUrV6IvKOiIgtof5L8tEjzvsX1fwc5WWfLFt9Q";
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let mut command = program(&["serve", "--port", "0", "--no-redis"]);
    command
        .env("AUTH_MODE", "jwt")
        .env("AUTH_HS256_SECRET", SECRET)
        .env("RUST_LOG", "trace")
        .stderr(File::create(&log).unwrap());
    let program = Running::spawn(command, "End");
    let status = |path: &str, headers: &str| {
        let response = program.ask(path, headers);
        let (status, _) = response.split_once("\r\n").unwrap();
        status.to_owned()
    };
    let authorization = format!("Authorization: Bearer {TOKEN}\r\n");
    assert_eq!(status("/api/tasks", &authorization), "HTTP/1.1 200 OK");
    let refused = "HTTP/1.1 401 Unauthorized";
    assert_eq!(status("/api/tasks", ""), refused);
    let forged = authorization.replace("\r\n", "A\r\n");
    assert_eq!(status("/api/tasks", &forged), refused);
    assert_eq!(status("/health", ""), "HTTP/1.1 200 OK");
    let printed = program.printed.join("\n");
    assert!(printed.contains("Authorization: Bearer"), "{printed}");
    assert!(program.end("INT").success());

    let logged = fs::read_to_string(&log).unwrap();
    assert!(logged.contains("a request was authorized"), "{logged}");
    let parts = TOKEN.split('.').chain([SECRET]);
    for part in parts {
        assert!(!logged.contains(part) && !printed.contains(part), "{part}");
    }
}

#[test]
fn the_error_for_a_missing_key_names_the_settings() {
    let mut command = program(&["serve", "--port", "0", "--no-redis"]);
    let output = command.env("AUTH_MODE", "jwt").output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    for name in [
        "AUTH_HS256_SECRET",
        "AUTH_PUBLIC_KEY",
        "AUTH_JWKS",
        "AUTH_MODE=none",
    ] {
        assert!(error.contains(name), "{error}");
    }
}
