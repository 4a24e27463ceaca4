//! Runs `progress watch` and `progress list` as a user does, against a small server.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};
use tiny_http::{Header, Response, Server};

/// A request: its path with the query, its token, and the entity tag that it has.
type Request = (String, String, String);

/// Answers the requests of a test in this order, and then always with the last answer. It has no live push.
struct Service {
    url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Service {
    fn start(answers: Vec<(u16, Value)>) -> Self {
        let server = Server::http("127.0.0.1:0").unwrap();
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let service = Self {
            url: format!("http://{}", server.server_addr()),
            requests: requests.clone(),
        };
        thread::spawn(move || {
            let mut number = 0;
            for request in server.incoming_requests() {
                if request.url().starts_with("/api/push") {
                    let none = json!({"url": null, "host": null, "tasks": "", "task": null});
                    request
                        .respond(Response::from_string(none.to_string()))
                        .unwrap();
                    continue;
                }
                let header = |name: &'static str| {
                    let mut headers = request.headers().iter();
                    let header = headers.find(|header| header.field.equiv(name));
                    header.map_or_else(String::new, |header| header.value.to_string())
                };
                let seen = (
                    request.url().to_owned(),
                    header("authorization"),
                    header("if-none-match"),
                );
                requests.lock().unwrap().push(seen);
                let (status, body) = &answers[number.min(answers.len() - 1)];
                let response = Response::from_string(body.to_string()).with_status_code(*status);
                let tag = format!("\"{number}\"");
                let tag = Header::from_bytes("etag", tag).unwrap();
                request.respond(response.with_header(tag)).unwrap();
                number += 1;
            }
        });
        service
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_progress"));
        command.args(arguments).env("PROGRESS_URL", &self.url);
        command.env("PROGRESS_TOKEN", "t0ken").output().unwrap()
    }
}

/// Tasks as the API shows them.
fn page() -> Value {
    let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/../local/samples");
    let mut command = Command::new(env!("CARGO_BIN_EXE_progress"));
    command.args([
        "report",
        "--json",
        "--cdk",
        &format!("{samples}/shop-deploy.log"),
    ]);
    serde_json::from_slice(&command.output().unwrap().stdout).unwrap()
}

fn task_with(status: &str) -> Value {
    let mut task = page()["tasks"][0].clone();
    task["status"] = json!(status);
    task
}

#[test]
fn list_prints_the_tasks_of_the_service() {
    let service = Service::start(vec![(200, page())]);
    let output = service.run(&[
        "list", "--status", "running", "--status", "failed", "--limit", "7",
    ]);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("ShopApi") && text.contains("completed"),
        "{text}"
    );
    let (url, token, _) = service.requests.lock().unwrap()[0].clone();
    assert_eq!(url, "/api/tasks?limit=7&status=running&status=failed");
    assert_eq!(token, "Bearer t0ken");
    let output = service.run(&["list", "--json"]);
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(printed, page());
}

#[test]
fn watch_follows_one_run_and_exits_with_its_outcome() {
    for (end, exit_code) in [
        ("completed", 0),
        ("failed", 1),
        ("cancelled", 1),
        ("ended", 2),
    ] {
        let answers = vec![
            (200, task_with("running")),
            (304, Value::Null),
            (503, Value::Null),
            (200, task_with(end)),
        ];
        let service = Service::start(answers);
        let output = service.run(&["watch", "cdk:shop"]);
        assert_eq!(output.status.code(), Some(exit_code), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(
            lines[0].contains(": running") && lines[1].contains(end),
            "{text}"
        );
        let requests = service.requests.lock().unwrap();
        let run_id = task_with(end)["run_id"].as_str().unwrap().to_owned();
        assert_eq!(requests[0].0, "/api/tasks/cdk:shop");
        assert_eq!(requests[1].0, format!("/api/tasks/{run_id}"));
        assert_eq!(requests[1].2, "\"0\"");
    }
}

#[test]
fn watch_prints_json_for_programs_and_finds_the_newest_task() {
    let answers = vec![
        (200, page()),
        (200, task_with("running")),
        (200, task_with("completed")),
    ];
    let service = Service::start(answers);
    let output = service.run(&["watch", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let statuses: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["status"].clone())
        .collect();
    assert_eq!(statuses, ["running", "completed"]);
}

#[test]
fn what_is_unknown_has_the_exit_code_2() {
    let problem = json!({"title": "Not Found", "detail": "no task has this id"});
    let service = Service::start(vec![(404, problem)]);
    let output = service.run(&["watch", "nothing"]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        text,
        "error: the service refuses: Not Found: no task has this id\n"
    );
}
