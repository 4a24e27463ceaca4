use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use shared::model::{Revision, Task, TaskStatus, Timestamp};

use crate::harness::{Harness, ids, task};

#[tokio::test]
async fn a_created_task_is_found() {
    let harness = Harness::new();
    let body = json!({
        "task_id": "run-1", "task_name": "Review · 請求", "task_type": "agent_execution",
        "status": "running", "priority": "P1", "progress": {"current": 5, "total": 29},
        "project_id": "alpha", "message": "<script>alert(1)</script>\u{1b}[31m", "phase": "review",
        "current_step": "reading", "metadata": {"pull_request": 42},
    });
    let response = harness.post("/api/tasks", body.to_string()).await;
    assert_eq!(response.status, StatusCode::CREATED);
    assert_eq!(response.header("location"), "/api/tasks/run-1");
    assert_eq!(response.header("cache-control"), "no-store");
    let made = response.json();
    for (name, value) in body.as_object().unwrap() {
        if name != "progress" {
            assert_eq!(&made[name], value, "{name}");
        }
    }
    let progress = json!({"current": 5, "total": 29, "percentage": 17});
    assert_eq!(made["progress"], progress);
    assert_eq!(
        (&made["revision"], &made["stale"]),
        (&json!(1), &json!(false))
    );
    assert_eq!(made["run"], made["created_at"]);
    let run = made["run"].as_str().unwrap().replace(['-', ':'], "");
    assert_eq!(made["run_id"], format!("run-1@{run}"));
    assert_eq!((made.get("earlier"), made.get("corrections")), (None, None));
    assert_eq!(made["started_at"], made["created_at"]);
    assert_eq!(made.get("completed_at"), None);
    assert_eq!(harness.read("/api/tasks/run-1").await, made);
    assert_eq!(harness.read("/api/tasks").await["tasks"], json!([made]));
    let stored = harness.stored().await;
    assert_eq!(made["run"], stored[0].run.to_string());
}

#[tokio::test]
async fn a_task_needs_only_a_name_and_a_type() {
    let harness = Harness::new();
    let body = json!({"task_name": "Build", "task_type": "build", "message": null});
    let made = harness.make("/api/tasks", body).await;
    let task_id = made["task_id"].as_str().unwrap();
    assert_eq!(made["status"], "pending");
    let unknown = json!({"current": null, "total": null, "percentage": null});
    assert_eq!(made["progress"], unknown);
    assert_eq!(made.get("started_at"), None);
    assert_eq!(harness.read(&format!("/api/tasks/{task_id}")).await, made);
}

#[tokio::test]
async fn a_task_can_be_created_as_completed() {
    let harness = Harness::new();
    let body = json!({
        "task_name": "Build", "task_type": "build", "status": "completed",
        "progress": {"current": u64::MAX, "total": 0},
    });
    let made = harness.make("/api/tasks", body).await;
    assert_eq!(made["completed_at"], made["created_at"]);
    assert_eq!(made["progress"]["percentage"], 100);
}

#[tokio::test]
async fn the_id_of_an_open_task_is_taken() {
    let harness = Harness::new();
    let body = json!({"task_id": "a", "task_name": "First", "task_type": "build"});
    harness.make("/api/tasks", body).await;
    let before = harness.stored().await;
    let again = json!({"task_id": "a", "task_name": "Second", "task_type": "other"});
    let response = harness.post("/api/tasks", again.to_string()).await;
    assert_eq!(response.status, StatusCode::CONFLICT);
    assert_eq!(response.problem(), "task-exists");
    assert_eq!(harness.stored().await, before);
}

#[tokio::test]
async fn an_invalid_task_names_the_fields_and_is_not_created() {
    let harness = Harness::new();
    let check = async |body: Value, fields: &[&str]| {
        let response = harness.post("/api/tasks", body.to_string()).await;
        assert_eq!(response.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        assert_eq!(response.problem(), "invalid-fields");
        assert_eq!(response.fields(), fields, "{body}");
        assert_eq!(harness.stored().await, []);
    };
    let with = |name: &str, value: Value| {
        let mut body = json!({"task_name": "Build", "task_type": "build"});
        body[name] = value;
        body
    };
    check(json!({}), &["task_name", "task_type"]).await;
    check(json!([]), &[""]).await;
    check(with("task_name", json!("")), &["task_name"]).await;
    check(with("task_name", json!("  ")), &["task_name"]).await;
    check(with("task_name", json!(7)), &["task_name"]).await;
    check(with("task_name", json!("a\nb")), &["task_name"]).await;
    check(with("task_name", json!("a\u{0}b")), &["task_name"]).await;
    check(with("task_name", json!("é".repeat(257))), &["task_name"]).await;
    check(with("task_type", json!("deploy")), &["task_type"]).await;
    check(with("task_id", json!("a/b")), &["task_id"]).await;
    let run_id = json!("a@20261121T093000.123Z");
    check(with("task_id", run_id), &["task_id"]).await;
    check(with("task_id", json!("")), &["task_id"]).await;
    check(with("task_id", json!("..")), &["task_id"]).await;
    check(with("status", json!("done")), &["status"]).await;
    check(with("priority", json!("P4")), &["priority"]).await;
    check(with("priority", json!(1)), &["priority"]).await;
    check(with("progress", json!(50)), &["progress"]).await;
    check(
        with("progress", json!({"current": -1})),
        &["progress.current"],
    )
    .await;
    check(with("progress", json!({"total": 1.5})), &["progress.total"]).await;
    check(
        with("progress", json!({"percentage": 101})),
        &["progress.percentage"],
    )
    .await;
    check(with("progress", json!({"done": 1})), &["progress.done"]).await;
    check(with("project_id", json!("a b")), &["project_id"]).await;
    check(with("message", json!("é".repeat(513))), &["message"]).await;
    check(with("phase", json!("x".repeat(257))), &["phase"]).await;
    check(with("current_step", json!("\u{7}")), &["current_step"]).await;
    check(with("metadata", json!("text")), &["metadata"]).await;
    check(
        with("metadata", json!({"k": "x".repeat(4096)})),
        &["metadata"],
    )
    .await;
    check(with("revision", json!(9)), &["revision"]).await;
    check(with("nonsense", json!(null)), &["nonsense"]).await;
}

#[tokio::test]
async fn the_longest_values_are_accepted() {
    let harness = Harness::new();
    let body = json!({
        "task_id": "x".repeat(128), "task_name": "é".repeat(256), "task_type": "build",
        "message": "é".repeat(512), "metadata": {"k": "x".repeat(4096 - r#"{"k":""}"#.len())},
    });
    harness.make("/api/tasks", body).await;
}

#[tokio::test]
async fn a_repeated_field_is_refused() {
    let harness = Harness::new();
    let body = r#"{"task_name":"a","task_name":"b","task_type":"build"}"#;
    let response = harness.post("/api/tasks", body).await;
    assert_eq!(response.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(response.fields(), ["task_name"]);
    assert_eq!(harness.stored().await, []);
}

#[tokio::test]
async fn the_number_of_listed_errors_is_limited() {
    let harness = Harness::new();
    let body: serde_json::Map<_, _> = (0..2000).map(|n| (format!("f{n}"), json!(n))).collect();
    let response = harness
        .post("/api/tasks", Value::from(body).to_string())
        .await;
    assert_eq!(response.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(response.body.len() < 4000, "{}", response.body.len());
}

#[tokio::test]
async fn a_list_can_be_filtered() {
    let harness = Harness::new();
    let mut tasks = vec![task("a", 1), task("b", 2), task("c", 3), task("d", 4)];
    tasks[1].status = TaskStatus::Failed;
    tasks[2].status = TaskStatus::Running;
    tasks[2].project_id = Some("alpha".parse().unwrap());
    tasks[3].task_type = "cdk_deploy".parse().unwrap();
    for task in &tasks {
        harness.save(task).await;
    }
    let check = async |query: &str, expected: &[&str]| {
        let page = harness.read(&format!("/api/tasks{query}")).await;
        assert_eq!(ids(&page), expected, "{query}");
    };
    check("", &["d", "c", "b", "a"]).await;
    check("?status=failed", &["b"]).await;
    check("?status=failed,running", &["c", "b"]).await;
    check("?status=failed&status=running", &["c", "b"]).await;
    check("?status=failed%2Crunning&project_id=alpha", &["c"]).await;
    check("?task_type=build", &["c", "b", "a"]).await;
    check("?task_type=build&task_type=cdk_deploy&limit=2", &["d", "c"]).await;
    check("?project_id=beta", &[]).await;
    check("?status=cancelled", &[]).await;
}

#[tokio::test]
async fn an_invalid_query_names_the_parameters() {
    let harness = Harness::new();
    let check = async |path: &str, fields: &[&str]| {
        let response = harness.get(path).await;
        assert_eq!(response.status, StatusCode::BAD_REQUEST, "{path}");
        assert_eq!(response.problem(), "invalid-parameters");
        assert_eq!(response.fields(), fields, "{path}");
    };
    for bad in ["0", "201", "-1", "many", "", "1.5", "99999999999999999999"] {
        check(&format!("/api/tasks?limit={bad}"), &["limit"]).await;
    }
    check("/api/tasks?limit=1&limit=2", &["limit"]).await;
    check("/api/tasks?status=done", &["status"]).await;
    check("/api/tasks?status=", &["status"]).await;
    check("/api/tasks?task_type=build,,other", &["task_type"]).await;
    check("/api/tasks?project_id=a%20b", &["project_id"]).await;
    check("/api/tasks?project_id=%ff", &["project_id"]).await;
    check("/api/tasks?cursor=garbage", &["cursor"]).await;
    check("/api/tasks?sort=name&page=2", &["page", "sort"]).await;
    check("/api/tasks/a?verbose=1", &["verbose"]).await;
    check("/api/tasks/a%2Fb", &["task_id"]).await;
    check("/api/tasks/a@b", &["task_id"]).await;
    check("/api/tasks/a@20261121T093000.123Z/runs", &["task_id"]).await;
    check("/api/tasks/a/runs?cursor=garbage", &["cursor"]).await;
    check("/api/tasks/%ff", &["path"]).await;
    check("/api/tasks/a/history?from=yesterday", &["from"]).await;
    check("/api/tasks/a/history?from=2000&to=1000", &["to"]).await;
    check("/api/projects?limit=1", &["limit"]).await;
    check("/api/projects/a/tasks?project_id=b", &["project_id"]).await;
}

#[tokio::test]
async fn an_id_can_be_percent_encoded() {
    let harness = Harness::new();
    harness.save(&task("cdk:main.log", 1)).await;
    let shown = harness.read("/api/tasks/cdk%3Amain%2Elog").await;
    assert_eq!(shown["task_id"], "cdk:main.log");
}

#[tokio::test]
async fn an_unknown_task_is_not_found() {
    let harness = Harness::new();
    for path in [
        "/api/tasks/none",
        "/api/tasks/none@20261121T093000.123Z",
        "/api/tasks/none/history",
        "/api/tasks/none@20261121T093000.123Z/history",
        "/api/tasks/none/runs",
    ] {
        let response = harness.get(path).await;
        assert_eq!(response.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(response.problem(), "task-not-found");
    }
}

#[tokio::test]
async fn a_running_task_without_events_is_stale() {
    let harness = Harness::new();
    let silent = Task {
        status: TaskStatus::Running,
        ..task("a", 0)
    };
    harness.save(&silent).await;
    assert_eq!(harness.read("/api/tasks/a").await["stale"], true);
    assert_eq!(harness.read("/api/tasks").await["tasks"][0]["stale"], true);
}

#[tokio::test]
async fn a_response_to_head_has_no_body() {
    let harness = Harness::new();
    harness.save(&task("a", 1)).await;
    for (path, status) in [("/api/tasks/a", 200), ("/api/tasks/b", 404)] {
        let response = harness.call(Method::HEAD, path).await;
        assert_eq!((response.status.as_u16(), response.body.len()), (status, 0));
    }
}

/// Saves a task and changes it, `changes` times in all, with one second between changes.
async fn changed_task(harness: &Harness, changes: u64) {
    let mut previous: Option<Task> = None;
    for number in 1..=changes {
        let mut next = task("a", i64::try_from(number).unwrap());
        next.run = task("a", 1).run;
        next.revision = Revision(number);
        next.progress.current = Some(number);
        harness.save_after(previous.as_ref(), &next).await;
        previous = Some(next);
    }
}

fn steps(page: &Value) -> Vec<u64> {
    let history = page["history"].as_array().unwrap();
    let steps = history.iter().map(|entry| &entry["progress"]["current"]);
    steps.map(|step| step.as_u64().unwrap()).collect()
}

#[tokio::test]
async fn history_is_oldest_first_and_paged() {
    let harness = Harness::new();
    changed_task(&harness, 10).await;
    let mut path = "/api/tasks/a/history?limit=3".to_owned();
    let mut seen = Vec::new();
    for _ in 0..4 {
        let page = harness.read(&path).await;
        seen.extend(steps(&page));
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/api/tasks/a/history?limit=3&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen, (1..=10).collect::<Vec<_>>());
    let other = path.replace("limit=3", "limit=3&from=0");
    assert_eq!(harness.get(&other).await.fields(), ["cursor"]);
}

#[tokio::test]
async fn history_can_be_limited_to_a_period_that_includes_both_ends() {
    let harness = Harness::new();
    changed_task(&harness, 10).await;
    let check = async |query: &str, expected: &[u64]| {
        let page = harness.read(&format!("/api/tasks/a/history?{query}")).await;
        assert_eq!(steps(&page), expected, "{query}");
        assert_eq!(page["next_cursor"], Value::Null);
    };
    let at = |seconds: i64| Timestamp::from_millis(1_700_000_000_000 + seconds * 1000);
    check(
        &format!("from={}&to={}", at(3).as_millis(), at(5)),
        &[3, 4, 5],
    )
    .await;
    check(&format!("from={}", at(9)), &[9, 10]).await;
    check(&format!("to={}", at(2)), &[1, 2]).await;
    check(&format!("from={}", at(11)), &[]).await;
    check("from=0&to=0", &[]).await;
}
