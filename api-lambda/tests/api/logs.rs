//! `POST /api/logs`: lines become tasks, once each, in any order and however often they are sent.

use std::io::Write;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::harness::{ApiResponse, Harness};

const SESSION: &str = "session=0b6a3e53-6a51-4c8e-9d0e-6a4f2d0c9a11";
/// A time some seconds before that of the server.
const START_MS: i64 = 1_795_255_200_000;

async fn send(harness: &Harness, query: &str, kind: &str, body: impl Into<Body>) -> ApiResponse {
    let request = Request::post(format!("/api/logs?{query}")).header("content-type", kind);
    harness.send(request.body(body.into()).unwrap()).await
}

async fn send_records(harness: &Harness, query: &str, records: &[Value]) -> ApiResponse {
    let body: String = records.iter().map(|record| format!("{record}\n")).collect();
    send(harness, query, "application/x-ndjson", body).await
}

fn line(second: i64, message: &str) -> Value {
    json!({"timestamp": START_MS + second * 1000, "message": message})
}

/// A request of a session.
async fn add(harness: &Harness, sequence: u32, records: &[Value]) -> Value {
    let query = format!("stream=deploy&{SESSION}&sequence={sequence}&name=Shop");
    let response = send_records(harness, &query, records).await;
    assert_eq!(response.status, StatusCode::ACCEPTED, "{response:?}");
    response.json()
}

#[tokio::test]
async fn lines_of_text_are_the_task_of_their_stream() {
    let harness = Harness::new();
    let body = "Mixing\n[3/9] painting\n";
    let first = send(&harness, "stream=nightly", "text/plain", body).await;
    assert_eq!(first.status, StatusCode::ACCEPTED, "{first:?}");
    let first = first.json();
    assert_eq!(first["task_id"], "run:nightly");
    assert_eq!((&first["lines"], &first["facts"]), (&json!(2), &json!(1)));
    let task = harness.read("/api/tasks/run:nightly").await;
    assert_eq!(
        (&task["status"], &task["progress"]["current"]),
        (&json!("running"), &json!(3))
    );
    assert_eq!(
        (&task["run"], &task["revision"]),
        (&first["run"], &first["revision"])
    );
    let again = send(&harness, "stream=nightly", "text/plain", body)
        .await
        .json();
    assert_eq!(again, first, "the same body is the same lines");
}

#[tokio::test]
async fn a_session_is_a_run_from_its_start_to_its_exit() {
    let harness = Harness::new();
    let context = json!({"context": {"actor": "mia", "branch": "main"}});
    add(
        &harness,
        0,
        &[
            context,
            line(1, "12 passed in 3.20s"),
            line(2, "[1/9] painting"),
        ],
    )
    .await;
    add(
        &harness,
        1,
        &[line(3, "[2/9] painting"), line(4, "error: no ink")],
    )
    .await;
    let task = harness.read("/api/tasks/run:deploy").await;
    assert_eq!(
        (&task["status"], &task["task_name"]),
        (&json!("running"), &json!("Shop"))
    );
    assert_eq!(task["context"], json!({"actor": "mia", "branch": "main"}));
    let exit = json!({"timestamp": START_MS + 5000, "exit_code": 3});
    let end = add(&harness, 2, &[exit]).await;
    let task = harness.read("/api/tasks/run:deploy").await;
    assert_eq!(
        (&task["status"], &task["revision"]),
        (&json!("failed"), &end["revision"])
    );
    assert_eq!(task["failure"]["cause"], "error: no ink");
    assert_eq!(task["completed_at"], "2026-11-21T10:00:05.000Z");
    assert_eq!(
        harness.read("/api/tasks/run:deploy/runs").await["runs"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn requests_may_come_again_and_in_any_order() {
    let requests = [
        vec![line(1, "[1/9] painting"), line(1, "[2/9] painting")],
        vec![line(1, "[3/9] painting")],
        vec![
            line(2, "[9/9] painting"),
            json!({"timestamp": START_MS + 2000, "exit_code": 0}),
        ],
    ];
    let mut expected = None;
    for order in [&[0, 1, 2][..], &[2, 1, 0], &[0, 0, 2, 1, 2, 0]] {
        let harness = Harness::new();
        for &sequence in order {
            add(&harness, sequence.try_into().unwrap(), &requests[sequence]).await;
        }
        let mut task = harness.read("/api/tasks/run:deploy").await;
        for field in ["revision", "run", "run_id", "corrections"] {
            task.as_object_mut().unwrap().remove(field);
        }
        assert_eq!(task["status"], "completed");
        let expected = expected.get_or_insert_with(|| task.clone());
        assert_eq!(&task, expected, "{order:?}");
        assert_eq!(harness.stored().await.len(), 1);
    }
}

#[tokio::test]
async fn a_later_session_keeps_the_run_before() {
    let harness = Harness::new();
    add(
        &harness,
        0,
        &[
            line(1, "[1/9] painting"),
            json!({"timestamp": START_MS + 2000, "exit_code": 3}),
        ],
    )
    .await;
    let other = "stream=deploy&session=6d4ac1de-3c65-43b3-8b35-5d5f0f9a52c1&sequence=0";
    send_records(&harness, other, &[line(100, "[2/9] painting")]).await;
    let runs = harness.read("/api/tasks/run:deploy/runs").await;
    let statuses: Vec<_> = runs["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| &run["status"])
        .collect();
    assert_eq!(statuses, [&json!("running"), &json!("failed")]);
}

#[tokio::test]
async fn two_sessions_at_once_are_two_runs() {
    let harness = Harness::new();
    let first = add(&harness, 0, &[line(1, "[1/9] painting")]).await;
    let other = "stream=deploy&session=6d4ac1de-3c65-43b3-8b35-5d5f0f9a52c1&sequence=";
    let send_other = async |sequence: u32, record: Value| {
        let query = format!("{other}{sequence}");
        send_records(&harness, &query, &[record]).await.json()
    };
    let second = send_other(0, line(2, "[5/9] painting")).await;
    assert_ne!(first["run"], second["run"]);
    let later = add(&harness, 1, &[line(3, "[2/9] painting")]).await;
    assert_eq!(later["run"], first["run"], "each is told of its own run");
    send_other(1, json!({"timestamp": START_MS + 4000, "exit_code": 0})).await;
    let exit = json!({"timestamp": START_MS + 5000, "exit_code": 3});
    let end = add(&harness, 2, &[exit]).await;
    assert_eq!(end["run"], first["run"]);
    let again = add(&harness, 1, &[line(3, "[2/9] painting")]).await;
    assert_eq!(
        (&again["run"], &again["revision"]),
        (&end["run"], &end["revision"])
    );
    let runs = harness.read("/api/tasks/run:deploy/runs").await;
    let runs = runs["runs"].as_array().unwrap();
    let seen = |run: &Value| (run["status"].clone(), run["progress"]["current"].clone());
    let expected = [(json!("completed"), json!(5)), (json!("failed"), json!(2))];
    assert_eq!(runs.iter().map(seen).collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn lines_go_to_the_task_that_the_caller_or_a_line_names() {
    let harness = Harness::new();
    harness
        .make(
            "/api/tasks",
            json!({"task_id": "nightly", "task_name": "Nightly", "task_type": "build"}),
        )
        .await;
    let query = format!("task_id=nightly&{SESSION}&sequence=0");
    let saved = send_records(&harness, &query, &[line(1, "[1/9] painting")])
        .await
        .json();
    assert_eq!(saved["task_id"], "nightly");
    let task = harness.read("/api/tasks/nightly").await;
    assert_eq!(
        (&task["status"], &task["task_type"]),
        (&json!("running"), &json!("build"))
    );
    let named = r#"{"task_id":"other","progress":40}"#;
    let saved = send(&harness, "stream=worker", "text/plain", named)
        .await
        .json();
    assert_eq!(
        (&saved["task_id"], saved.get("run")),
        (&json!("run:worker"), None)
    );
    assert_eq!(
        harness.read("/api/tasks/other").await["progress"]["percentage"],
        40
    );
}

#[tokio::test]
async fn a_packed_body_is_read() {
    let harness = Harness::new();
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer
        .write_all(b"{\"message\":\"[3/9] painting\"}\n")
        .unwrap();
    let body = packer.finish().unwrap();
    let saved = send(&harness, "stream=a", "application/octet-stream", body).await;
    assert_eq!(saved.status, StatusCode::ACCEPTED, "{saved:?}");
    assert_eq!(
        harness.read("/api/tasks/run:a").await["progress"]["total"],
        9
    );
}

#[tokio::test]
async fn bad_requests_name_what_is_wrong_and_change_nothing() {
    let harness = Harness::new();
    let text = "text/plain";
    for (query, field) in [
        ("", "stream"),
        ("stream=a&session=1&sequence=0", "session"),
        (&format!("stream=a&{SESSION}"), "sequence"),
        ("stream=a&sequence=1", "session"),
        (&format!("stream=a&{SESSION}&sequence=-1"), "sequence"),
        ("stream=a&format=yaml", "format"),
        ("stream=a&task_id=a/b", "task_id"),
        ("stream=a&project_id=", "project_id"),
        ("stream=a&colour=red", "colour"),
    ] {
        let response = send(&harness, query, text, "[1/9] painting").await;
        assert_eq!(
            response.status,
            StatusCode::BAD_REQUEST,
            "{query}: {response:?}"
        );
        let problem = response.json();
        assert_eq!(problem["errors"][0]["field"], field, "{query}: {problem}");
    }
    let wrong = send(
        &harness,
        "stream=a",
        "application/x-ndjson",
        r#"{"exit_code":"0"}"#,
    )
    .await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(wrong.json()["errors"][0]["field"], "line 1.exit_code");
    let image = send(&harness, "stream=a", "image/png", "a").await;
    assert_eq!(image.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let large = send(&harness, "stream=a", text, vec![b'a'; 1024 * 1024 + 1]).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(harness.stored().await, []);
}

#[tokio::test]
async fn the_unpacked_size_has_a_limit_of_its_own() {
    let harness = Harness::new();
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(&vec![b'a'; 8 * 1024 * 1024 + 1]).unwrap();
    let body = packer.finish().unwrap();
    let large = send(&harness, "stream=a", "application/octet-stream", body).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
    let detail = large.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("unpacked body"), "{detail}");
}

#[tokio::test]
async fn a_time_may_be_in_seconds_and_one_of_long_ago_is_an_error() {
    let harness = Harness::new();
    let record = json!({"timestamp": START_MS / 1000, "message": "[1/9] painting"});
    let saved = send_records(&harness, "stream=a", &[record]).await;
    assert_eq!(saved.json()["run"], "2026-11-21T10:00:00.000Z");
    let record = json!({"timestamp": 1000, "message": "[1/9] painting"});
    let wrong = send_records(&harness, "stream=b", &[record]).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(wrong.json()["errors"][0]["field"], "line 1.timestamp");
}

#[tokio::test]
async fn a_hint_of_the_format_does_not_change_the_id() {
    let harness = Harness::new();
    for (format, kind) in [("cdk", "cdk_deploy"), ("agent", "agent_execution")] {
        let query = format!("stream={format}&format={format}");
        let saved = send(&harness, &query, "text/plain", "Mixing").await;
        assert_eq!(saved.json()["task_id"], format!("run:{format}"));
        let task = harness.read(&format!("/api/tasks/run:{format}")).await;
        assert_eq!(task["task_type"], kind);
    }
}

/// The statuses of the runs of `run:deploy`, the newest first.
async fn statuses(harness: &Harness) -> Vec<String> {
    let runs = harness.read("/api/tasks/run:deploy/runs").await;
    let runs = runs["runs"].as_array().unwrap().iter();
    let status = |run: &Value| run["status"].as_str().unwrap().to_owned();
    runs.map(status).collect()
}

#[tokio::test]
async fn an_exit_alone_is_a_run() {
    let harness = Harness::new();
    let query = "stream=deploy&name=Shop&project_id=shop";
    let exit =
        |second: i64, code: i32| json!({"timestamp": START_MS + second * 1000, "exit_code": code});
    for _ in 0..2 {
        let saved = send_records(&harness, query, &[exit(1, 1)]).await.json();
        assert_eq!(saved["run"], "2026-11-21T10:00:01.000Z");
    }
    let task = harness.read("/api/tasks/run:deploy").await;
    assert_eq!(
        (&task["status"], &task["task_name"]),
        (&json!("failed"), &json!("Shop"))
    );
    assert_eq!(task["failure"]["cause"], "exit code 1");
    assert_eq!(statuses(&harness).await, ["failed"]);
    send_records(&harness, query, &[exit(5, 0)]).await;
    assert_eq!(statuses(&harness).await, ["completed", "failed"]);
}

#[tokio::test]
async fn each_request_with_the_lines_and_the_exit_of_a_command_is_a_run() {
    let harness = Harness::new();
    let command = |second: i64, code: i32| {
        let exit = json!({"timestamp": START_MS + (second + 1) * 1000, "exit_code": code});
        [line(second, "Mixing"), exit]
    };
    for commands in [&[(1, 0), (10, 3)][..], &[(10, 3), (1, 0)]] {
        for (second, code) in commands {
            send_records(&harness, "stream=deploy", &command(*second, *code)).await;
        }
        assert_eq!(statuses(&harness).await, ["failed", "completed"]);
    }
}

#[tokio::test]
async fn an_exit_ends_the_run_before_it_whatever_its_clock_says() {
    for second in [1, 2, 3] {
        let harness = Harness::new();
        let exit = json!({"timestamp": START_MS + second * 1000, "exit_code": 1});
        send_records(&harness, "stream=deploy", &[line(2, "[1/9] painting")]).await;
        for _ in 0..2 {
            send_records(&harness, "stream=deploy", std::slice::from_ref(&exit)).await;
            assert_eq!(statuses(&harness).await, ["failed"], "{second}");
        }
    }
}

#[tokio::test]
async fn a_request_that_comes_again_changes_no_last_lines() {
    let harness = Harness::new();
    let query = |sequence: u32| format!("stream=deploy&{SESSION}&sequence={sequence}");
    let requests = [
        "one".to_owned(),
        format!("two\n{}", json!({"exit_code": 2})),
    ];
    for sequence in [0, 1, 1, 0] {
        let body = requests[sequence].clone();
        let query = query(u32::try_from(sequence).unwrap());
        send(&harness, &query, "application/x-ndjson", body).await;
    }
    assert_eq!(tail(&harness, "run:deploy").await, ["one", "two"]);
}

#[tokio::test]
async fn an_exit_after_lines_ends_their_run() {
    let harness = Harness::new();
    let exit = |second: i64| json!({"timestamp": START_MS + second * 1000, "exit_code": 1});
    let failed = [line(1, "[1/9] painting"), line(2, "BUILD FAILED")];
    send_records(&harness, "stream=deploy", &failed).await;
    assert_eq!(statuses(&harness).await, ["failed"]);
    for _ in 0..2 {
        send_records(&harness, "stream=deploy", &[exit(3)]).await;
        assert_eq!(statuses(&harness).await, ["failed"]);
    }
    // That of a command that has printed nothing.
    send_records(&harness, "stream=deploy", &[exit(3 + 2 * 60 * 60)]).await;
    assert_eq!(statuses(&harness).await, ["failed", "failed"]);
}

/// The texts of the last lines of a run.
async fn tail(harness: &Harness, id: &str) -> Vec<String> {
    let log = harness.read(&format!("/api/tasks/{id}/log")).await;
    let lines = log["lines"].as_array().unwrap().iter();
    let text = |line: &Value| line["text"].as_str().unwrap().to_owned();
    lines.map(text).collect()
}

#[tokio::test]
async fn the_last_lines_of_a_run_are_kept() {
    let harness = Harness::new();
    add(&harness, 0, &[line(1, "Mixing"), line(2, "[1/9] painting")]).await;
    add(&harness, 1, &[line(3, "\u{1b}[31merror: no ink")]).await;
    add(&harness, 0, &[line(1, "Mixing"), line(2, "[1/9] painting")]).await;
    let expected = ["Mixing", "[1/9] painting", "\u{1b}[31merror: no ink"];
    assert_eq!(tail(&harness, "run:deploy").await, expected);
    let exit = json!({"timestamp": START_MS + 4000, "exit_code": 1});
    add(&harness, 2, &[exit]).await;
    assert_eq!(
        tail(&harness, "run:deploy").await,
        expected,
        "of the failed run"
    );
    let runs = harness.read("/api/tasks/run:deploy/runs").await;
    let failed = runs["runs"][0]["run_id"].as_str().unwrap().to_owned();
    let other = "stream=deploy&session=6d4ac1de-3c65-43b3-8b35-5d5f0f9a52c1&sequence=0";
    send_records(&harness, other, &[line(100, "Mixing again")]).await;
    assert_eq!(tail(&harness, "run:deploy").await, ["Mixing again"]);
    assert_eq!(tail(&harness, &failed).await, expected);
    let many: Vec<_> = (200..600).map(|second| line(second, "x")).collect();
    add(&harness, 5, &many).await;
    assert_eq!(tail(&harness, "run:deploy").await.len(), 200);
    let missing = harness.get("/api/tasks/run:other/log").await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_last_lines_of_two_commands_at_once_do_not_replace_each_other() {
    let harness = Harness::new();
    let other = "stream=deploy&session=6d4ac1de-3c65-43b3-8b35-5d5f0f9a52c1";
    for sequence in 0..3 {
        let second = i64::from(sequence);
        add(&harness, sequence, &[line(second, &format!("a{sequence}"))]).await;
        let query = format!("{other}&sequence={sequence}");
        send_records(&harness, &query, &[line(second, &format!("b{sequence}"))]).await;
    }
    assert_eq!(tail(&harness, "run:deploy").await, ["b0", "b1", "b2"]);
    let runs = harness.read("/api/tasks/run:deploy/runs").await;
    let earlier = runs["runs"][1]["run_id"].as_str().unwrap();
    assert_eq!(tail(&harness, earlier).await, ["a0", "a1", "a2"]);
}

#[tokio::test]
async fn lines_without_times_and_an_exit_may_come_in_any_order() {
    for order in [[2, 1, 0], [1, 2, 0], [1, 0, 2]] {
        let harness = Harness::new();
        let requests = [
            json!({"message": "[1/4] painting"}),
            json!({"message": "[2/4] painting"}),
            json!({"exit_code": 3}),
        ];
        for sequence in order {
            let number = sequence.try_into().unwrap();
            add(&harness, number, &[requests[sequence].clone()]).await;
        }
        let stored = harness.stored().await;
        let statuses: Vec<_> = stored.iter().map(|task| task.status.as_str()).collect();
        assert_eq!(statuses, ["failed"], "{order:?}");
    }
}

#[tokio::test]
async fn each_exit_in_a_request_without_a_session_ends_a_command() {
    let harness = Harness::new();
    for (is_timed, stream) in [(true, "timed"), (false, "untimed")] {
        let line = |second: i64, message: &str| match is_timed {
            true => line(second, message),
            false => json!({"message": message}),
        };
        let exit = |second: i64, code: i32| match is_timed {
            true => json!({"timestamp": START_MS + second * 1000, "exit_code": code}),
            false => json!({"exit_code": code}),
        };
        let records = [
            line(1, "[1/9] painting"),
            exit(2, 3),
            line(3, "[2/9] painting"),
            line(4, "[3/9] painting"),
            exit(5, 0),
            line(6, "[4/9] painting"),
            line(7, "[5/9] painting"),
        ];
        let query = format!("stream={stream}");
        let mut answers = Vec::new();
        for _ in 0..2 {
            let saved = send_records(&harness, &query, &records).await;
            assert_eq!(saved.status, StatusCode::ACCEPTED, "{saved:?}");
            answers.push(saved.json());
        }
        assert_eq!(answers[0], answers[1], "it is known");
        assert_eq!(answers[0]["lines"], 5);
        let runs = harness.read(&format!("/api/tasks/run:{stream}/runs")).await;
        let seen = |run: &Value| {
            let current = run["progress"]["current"].as_u64().unwrap();
            (run["status"].as_str().unwrap().to_owned(), current)
        };
        let runs: Vec<_> = runs["runs"].as_array().unwrap().iter().map(seen).collect();
        let expected = [("running", 5), ("completed", 3), ("failed", 1)];
        let expected = expected.map(|(status, current)| (status.to_owned(), current));
        assert_eq!(runs, expected, "{stream}");
    }
    let exits: Vec<_> = (0..21).map(|_| json!({"exit_code": 0})).collect();
    let refused = send_records(&harness, "stream=many", &exits).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(refused.json()["errors"][0]["field"], "exit_code");
    let allowed = send_records(&harness, "stream=many", &exits[..20]).await;
    assert_eq!(allowed.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn an_exit_is_not_earlier_than_its_lines_whatever_its_clock_says() {
    for session in ["", &format!("&{SESSION}&sequence=0")] {
        let harness = Harness::new();
        let records = [
            line(5, "[1/2] painting"),
            line(9, "[2/2] painting"),
            json!({"timestamp": START_MS, "exit_code": 0}),
        ];
        for _ in 0..2 {
            let query = format!("stream=deploy{session}");
            send_records(&harness, &query, &records).await;
        }
        let task = harness.read("/api/tasks/run:deploy").await;
        assert_eq!(
            (&task["started_at"], &task["completed_at"], &task["status"]),
            (
                &json!("2026-11-21T10:00:05.000Z"),
                &json!("2026-11-21T10:00:09.000Z"),
                &json!("completed")
            )
        );
        assert_eq!(harness.stored().await.len(), 1);
    }
}

#[tokio::test]
async fn lines_without_times_have_the_order_of_their_requests() {
    let lines = ["[1/4] red", "[2/4] blue", "[3/4] green"];
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [2, 0, 1]] {
        let harness = Harness::new();
        for sequence in order {
            let record = json!({"message": lines[sequence]});
            add(&harness, sequence.try_into().unwrap(), &[record]).await;
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        let task = harness.read("/api/tasks/run:deploy").await;
        assert_eq!(
            (&task["progress"]["current"], &task["message"]),
            (&json!(3), &json!("[3/4] green")),
            "{order:?}"
        );
        assert_eq!(tail(&harness, "run:deploy").await, lines, "{order:?}");
        assert_eq!(harness.stored().await.len(), 1);
    }
}

#[tokio::test]
async fn old_lines_without_a_session_are_among_the_last_lines_of_their_own_run() {
    let harness = Harness::new();
    let exit = |second: i64| json!({"timestamp": START_MS + second * 1000, "exit_code": 1});
    for second in [10, 20] {
        let records = [line(second, "Mixing"), exit(second + 5)];
        send_records(&harness, "stream=deploy", &records).await;
    }
    let late = [line(12, "a late line")];
    send_records(&harness, "stream=deploy", &late).await;
    let oldest = [line(3, "an early line")];
    send_records(&harness, "stream=deploy", &oldest).await;
    assert_eq!(tail(&harness, "run:deploy").await, ["Mixing"]);
    let runs = harness.read("/api/tasks/run:deploy/runs").await;
    let earlier = runs["runs"][1]["run_id"].as_str().unwrap();
    assert_eq!(tail(&harness, earlier).await, ["Mixing", "a late line"]);
}

#[tokio::test]
async fn the_lines_before_a_failure_are_those_of_its_run() {
    let harness = Harness::new();
    let first = [
        line(1, "Step 1/2: red"),
        line(2, "All done"),
        line(3, "bye"),
    ];
    send_records(&harness, "stream=deploy", &first).await;
    let start = [line(9, "Step 1/2: blue")];
    send_records(&harness, "stream=deploy", &start).await;
    send_records(&harness, "stream=deploy", &[line(10, "BUILD FAILED")]).await;
    let task = harness.read("/api/tasks/run:deploy").await;
    assert_eq!(task["status"], "failed", "{task}");
    assert_eq!(task["failure"]["context"], json!(["Step 1/2: blue"]));
}

/// More facts than fit in memory at once are saved in portions.
#[tokio::test]
async fn a_request_of_very_many_lines_is_saved_in_portions() {
    let harness = Harness::new();
    let message = |number: i64| format!("[{number}/17000] painting");
    let record = |number| json!({"timestamp": START_MS + number, "message": message(number)});
    let records: String = (1..=17_000)
        .map(|number| format!("{}\n", record(number)))
        .collect();
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(records.as_bytes()).unwrap();
    let body = packer.finish().unwrap();
    let query = format!("stream=deploy&{SESSION}&sequence=0&name=Shop");
    for _ in 0..2 {
        let saved = send(&harness, &query, "application/octet-stream", body.clone()).await;
        let saved = saved.json();
        assert_eq!([&saved["lines"], &saved["facts"]], [17_000, 17_000]);
        assert!(saved["revision"].as_u64() >= Some(2), "{saved}");
        let task = harness.read("/api/tasks/run:deploy").await;
        assert_eq!(
            (&task["progress"]["current"], &task["task_name"]),
            (&json!(17_000), &json!("Shop"))
        );
    }
    assert_eq!(statuses(&harness).await, ["running"]);
    assert_eq!(tail(&harness, "run:deploy").await.len(), 200);
}
