//! Kept data, and requests that hang.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::program::{Running, exchange, program, wait_for};
use crate::serve::{append, row, wait_for_step};

/// How often the program is killed.
const KILLS: u32 = 30;

fn serve(data: &Path, arguments: &[&str]) -> Running {
    let data = ["--no-redis", "--data", data.to_str().unwrap()];
    Running::serve(&[&data[..], arguments].concat())
}

/// Sends a request with a JSON body. Returns the response; `None` if the program was killed.
fn send(address: &str, line: &str, json: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    let length = json.len();
    let request = format!(
        "{line} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{json}"
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut response = String::new();
    stream.read_to_string(&mut response).ok()?;
    response.contains("\r\n\r\n").then_some(response)
}

fn create(program: &Running, task_id: &str) {
    let task = format!(r#"{{"task_id":"{task_id}","task_name":"Build","task_type":"build"}}"#);
    let created = send(
        &program.address("Miyabi Progress"),
        "POST /api/tasks",
        &task,
    );
    let created = created.unwrap();
    assert!(created.starts_with("HTTP/1.1 201"), "{created}");
}

#[test]
fn samples_are_not_replayed_into_data_that_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let program = serve(&directory.path().join("data"), &[]);
    let banner = program.printed.join("\n");
    assert!(banner.contains("Logs   none"), "{banner}");
    create(&program, "build-7");
    // Another one that began later has samples by now.
    let with_samples = Running::serve(&["--no-redis"]);
    wait_for("a sample", || with_samples.task("coder-142"));
    let page = program.get("/api/tasks");
    let tasks = page["tasks"].as_array().unwrap();
    assert_eq!(tasks.len(), 1, "{page}");
    assert_eq!(
        program.get("/api/projects")["projects"],
        serde_json::json!([])
    );
}

#[test]
fn nothing_that_was_acknowledged_is_lost_in_thirty_kills() {
    let directory = tempfile::tempdir().unwrap();
    let (data, log) = (
        directory.path().join("data"),
        directory.path().join("deploy.log"),
    );
    let log_option = ["--cdk", log.to_str().unwrap()];
    append(&log, "Api: deploying... [1/1]\n");
    let program = serve(&data, &log_option);
    create(&program, "build-7");
    let (mut running, mut acknowledged, mut shown, mut started_at) = (program, 0, 0, Value::Null);
    for kill in 1..=KILLS {
        let address = running.address("Miyabi Progress");
        let written = u64::from(kill) * 1_000;
        let writer = {
            let log = log.clone();
            std::thread::spawn(move || {
                for step in written - 1_000 + 1..=written {
                    append(
                        &log,
                        &format!(
                            "Api | {step}/{} | 9:15:04 AM | CREATE_COMPLETE | AWS::SQS::Queue | Q{step} (Q{step}A)\n",
                            KILLS * 1_000
                        ),
                    );
                }
            })
        };
        let made = Arc::<AtomicU64>::default();
        let seen = made.clone();
        let patcher = std::thread::spawn(move || {
            let mut acknowledged = acknowledged;
            loop {
                let next = acknowledged + 1;
                let patch = format!(
                    r#"{{"status":"running","progress":{{"current":{next},"total":100000}}}}"#
                );
                match send(&address, "PATCH /api/tasks/build-7", &patch) {
                    Some(response) if response.starts_with("HTTP/1.1 200") => {
                        acknowledged = next;
                        seen.fetch_add(1, Ordering::Relaxed);
                    }
                    Some(response) => panic!("{response}"),
                    None => return acknowledged,
                }
            }
        });
        // Kills come at different moments of the work.
        let wanted = u64::from(kill) * 3 % 7 + 1;
        wait_for("some changes", || {
            (made.load(Ordering::Relaxed) >= wanted).then_some(())
        });
        if let Some(task) = running.task("deploy") {
            let current = task["progress"]["current"].as_u64().unwrap_or(0);
            assert!(current >= shown, "{current} after {shown}");
            shown = current;
            if started_at.is_null() {
                started_at = task["started_at"].clone();
            }
        }
        assert!(!running.end("KILL").success());
        acknowledged = patcher.join().unwrap();
        writer.join().unwrap();
        running = serve(&data, &log_option);
        let build = running.get("/api/tasks/build-7");
        let current = build["progress"]["current"].as_u64().unwrap_or(0);
        // The last PATCH may have been made without an answer.
        assert!(
            (acknowledged..=acknowledged + 1).contains(&current),
            "{current} is stored, {acknowledged} was acknowledged"
        );
        acknowledged = current;
    }
    let last = KILLS * 1_000;
    let task = wait_for_step(&running, "deploy", last);
    assert_eq!(task["started_at"], started_at, "it is still the same run");
    let runs = running.get("/api/tasks/cdk:deploy/runs");
    assert_eq!(runs["runs"].as_array().unwrap().len(), 1, "{runs}");
    assert!(acknowledged > u64::from(KILLS), "{acknowledged} changes");
}

#[test]
fn a_damaged_database_is_not_ready_and_says_which_file() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let program = serve(&data, &[]);
    for number in 0..200 {
        create(&program, &format!("build-{number}"));
    }
    assert_eq!(program.get("/ready")["status"], "ready");
    assert!(program.end("INT").success());
    let path = data.join("dynamodb.sqlite");
    let length = path.metadata().unwrap().len();
    let mut file = OpenOptions::new().write(true).open(&path).unwrap();
    file.seek(SeekFrom::Start(length / 4096 / 2 * 4096))
        .unwrap();
    file.write_all(&[0xA5; 64 * 1024]).unwrap();

    let program = serve(&data, &[]);
    let response = wait_for("the outcome of the check", || {
        let response = program.ask("/ready", "");
        response.starts_with("HTTP/1.1 503").then_some(response)
    });
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("application/problem+json"), "{head}");
    let problem: Value = serde_json::from_str(body).unwrap();
    assert_eq!(problem["type"], "/problems/not-ready");
    assert_eq!(problem["dynamodb"]["status"], "down");
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains("data/dynamodb.sqlite is damaged"),
        "{detail}"
    );
    assert!(program.ask("/health", "").starts_with("HTTP/1.1 200"));
}

#[test]
fn a_file_that_is_no_database_is_an_error_that_names_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("dynamodb.sqlite");
    fs::write(&path, "not a database ".repeat(1000)).unwrap();
    let data = directory.path().to_str().unwrap();
    let mut command = program(&["serve", "--port", "0", "--no-redis", "--data", data]);
    let output = command.output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        error.contains("dynamodb.sqlite") && error.contains("move them away"),
        "{error}"
    );
}

#[test]
fn a_journal_that_can_not_be_written_is_an_error_that_names_it() {
    let directory = tempfile::tempdir().unwrap();
    let (data, log) = (
        directory.path().join("data"),
        directory.path().join("deploy.log"),
    );
    let journals = data.join("first-seen");
    append(&log, &row(1));
    let program = serve(&data, &["--cdk", log.to_str().unwrap()]);
    wait_for_step(&program, "deploy", 1);
    assert!(program.end("INT").success());
    let journal = fs::read_dir(&journals)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    fs::remove_file(&journal).unwrap();
    fs::create_dir(&journal).unwrap();

    let error = directory.path().join("error");
    let mut command = crate::program::program(&["serve", "--port", "0", "--no-redis", "--data"]);
    command.arg(&data).arg("--cdk").arg(&log);
    command.stderr(File::create(&error).unwrap());
    let program = Running::spawn(command, "End");
    let text = wait_for("the error", || {
        let text = fs::read_to_string(&error).unwrap();
        text.ends_with('\n').then_some(text)
    });
    assert!(text.contains(journal.to_str().unwrap()), "{text}");
    assert!(text.contains("free space or check its rights"), "{text}");
    assert!(!text.contains('\u{1b}'), "no colours in a file: {text}");
    fs::remove_dir(&journal).unwrap();
    append(&log, &row(2));
    wait_for_step(&program, "deploy", 2);
}

#[test]
fn half_sent_requests_end_after_ten_seconds() {
    let program = Running::serve(&["--no-redis"]);
    let address = program.address("Miyabi Progress");
    let half = [
        "GET /api/tasks HTTP/1.1\r\nHost: localhost\r\n",
        "POST /api/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: 100\r\n\r\n{",
        "",
    ];
    let start = Instant::now();
    let waiting = half.map(|request| {
        let address = address.clone();
        std::thread::spawn(move || {
            // It ends only with the connection.
            let response = exchange(&address, request);
            assert!(!response.contains("HTTP/1.1 2"), "{response}");
        })
    });
    // A body that arrives byte by byte is never late, but does not hold its connection for long either.
    let mut dripping = TcpStream::connect(&address).unwrap();
    dripping.write_all(half[1].as_bytes()).unwrap();
    let dripped = std::thread::spawn(move || {
        let pause = Some(Duration::from_secs(1));
        dripping.set_read_timeout(pause).unwrap();
        let mut response = [0; 12];
        while let Err(error) = dripping.read_exact(&mut response) {
            assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
            dripping.write_all(b" ").unwrap();
        }
        assert!(response.starts_with(b"HTTP/1.1 4"), "{response:?}");
    });
    for thread in waiting {
        thread.join().unwrap();
    }
    let took = start.elapsed();
    dripped.join().unwrap();
    let all = start.elapsed();
    assert!(all < Duration::from_secs(60), "{all:?}");
    assert!(took >= Duration::from_secs(9), "{took:?}");
    assert!(took < Duration::from_secs(40), "{took:?}");
}

#[test]
fn a_redis_that_is_down_does_not_flood_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let (log, error) = (
        directory.path().join("deploy.log"),
        directory.path().join("error"),
    );
    let mut command = program(&["serve", "--port", "0", "--cdk"]);
    command.arg(&log).env("REDIS_ENDPOINT", "127.0.0.1:1");
    command.stderr(File::create(&error).unwrap());
    let program = Running::spawn(command, "End");
    for step in 1..=4 {
        append(&log, &row(step));
        wait_for_step(&program, "deploy", step);
    }
    let text = fs::read_to_string(&error).unwrap();
    assert!(text.lines().count() <= 1, "{text}");
    assert!(!text.contains('\u{1b}'), "no colours in a file: {text}");
}
