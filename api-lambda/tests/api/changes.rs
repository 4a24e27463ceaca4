//! PATCH and DELETE.

use std::sync::Arc;

use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use shared::model::{TaskStatus, Timestamp};

use crate::harness::{Harness, Log, a_second, ids, patch, patch_if, task};

async fn create(harness: &Harness, fields: Value) -> Value {
    let mut body = json!({"task_id": "a", "task_name": "Build", "task_type": "build"});
    let members = fields.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(members);
    harness.make("/api/tasks", body).await
}

#[tokio::test]
async fn a_patch_changes_only_the_fields_it_names() {
    let harness = Harness::new();
    let made = create(
        &harness,
        json!({
            "message": "waiting", "phase": "queued", "priority": "P2",
            "progress": {"current": 1, "total": 10},
            "metadata": {"agent": {"name": "ada", "model": 4}, "issue": 7},
        }),
    )
    .await;
    let body = json!({
        "status": "running", "progress": {"current": 5}, "phase": null,
        "metadata": {"agent": {"model": null, "tools": ["cdk"]}, "issue": 8},
    });
    let response = patch(&harness, "/api/tasks/a", body).await;
    assert_eq!(response.status, StatusCode::OK, "{response:?}");
    let changed = response.json();
    assert_eq!(changed["status"], "running");
    let progress = json!({"current": 5, "total": 10, "percentage": 50});
    assert_eq!(changed["progress"], progress);
    assert_eq!(changed.get("phase"), None);
    assert_eq!(
        changed["metadata"],
        json!({"agent": {"name": "ada", "tools": ["cdk"]}, "issue": 8})
    );
    for same in ["task_name", "message", "priority", "run", "created_at"] {
        assert_eq!(changed[same], made[same], "{same}");
    }
    assert_eq!(changed["revision"], 2);
    assert!(changed["started_at"].is_string());
    assert_eq!(harness.read("/api/tasks/a").await, changed);
    assert_eq!(ids(&harness.read("/api/tasks?status=running").await), ["a"]);
    let history = harness.read("/api/tasks/a/history").await;
    assert_eq!(history["history"].as_array().unwrap().len(), 2);
    let cleared = patch(&harness, "/api/tasks/a", json!({"metadata": null})).await;
    assert_eq!(cleared.json().get("metadata"), None);
}

#[tokio::test]
async fn a_patch_that_changes_nothing_writes_nothing() {
    let harness = Harness::new();
    let made = create(&harness, json!({"message": "x"})).await;
    for body in [
        json!({}),
        json!({"message": "x"}),
        json!({"status": "pending", "phase": null, "progress": {}}),
    ] {
        let response = patch(&harness, "/api/tasks/a", body).await;
        assert_eq!(response.json(), made);
    }
}

#[tokio::test]
async fn only_allowed_status_changes_are_made() {
    for from in TaskStatus::ALL {
        for to in TaskStatus::ALL {
            let harness = Harness::new();
            let made = create(&harness, json!({"status": from})).await;
            let response = patch(
                &harness,
                "/api/tasks/a",
                json!({"status": to, "message": "x"}),
            )
            .await;
            if from.may_become(*to) {
                assert_eq!(response.status, StatusCode::OK, "{from} to {to}");
                assert_eq!(response.json()["status"], to.as_str());
            } else {
                assert_eq!(response.status, StatusCode::CONFLICT, "{from} to {to}");
                assert_eq!(response.problem(), "illegal-move");
                assert_eq!(harness.read("/api/tasks/a").await, made);
            }
        }
    }
}

#[tokio::test]
async fn an_invalid_patch_names_the_fields_and_changes_nothing() {
    let harness = Harness::new();
    let made = create(&harness, json!({})).await;
    for (body, fields) in [
        (json!({"revision": 9}), vec!["revision"]),
        (json!({"task_id": null}), vec!["task_id"]),
        (
            json!({"task_type": "other", "run": "x"}),
            vec!["run", "task_type"],
        ),
        (json!({"task_name": null}), vec!["task_name"]),
        (json!({"status": null}), vec!["status"]),
        (json!({"status": "sleeping"}), vec!["status"]),
        (
            json!({"progress": {"current": -1, "steps": 2}}),
            vec!["progress.current", "progress.steps"],
        ),
        (json!({"progress": 5}), vec!["progress"]),
        (json!({"message": "x".repeat(1025)}), vec!["message"]),
        (json!({"metadata": []}), vec!["metadata"]),
        (
            json!({"metadata": {"a": "x".repeat(5000)}}),
            vec!["metadata"],
        ),
        (json!({"project_id": "a b"}), vec!["project_id"]),
        (json!([]), vec![""]),
    ] {
        let response = patch(&harness, "/api/tasks/a", body.clone()).await;
        assert_eq!(response.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        assert_eq!(response.problem(), "invalid-fields");
        assert_eq!(response.fields(), fields, "{body}");
    }
    let missing = patch(&harness, "/api/tasks/b", json!({})).await;
    assert_eq!(missing.problem(), "task-not-found");
    assert_eq!(harness.read("/api/tasks/a").await, made);
}

#[tokio::test]
async fn if_match_refuses_a_change_of_a_newer_state() {
    let harness = Harness::new();
    create(&harness, json!({})).await;
    let tag = harness.get("/api/tasks/a").await.header("etag").to_owned();
    let stale = tag.clone();
    let changed = patch_if(&harness, "/api/tasks/a", &tag, json!({"message": "1"})).await;
    assert_eq!(changed.status, StatusCode::OK, "{changed:?}");
    let refused = patch_if(&harness, "/api/tasks/a", &stale, json!({"message": "2"})).await;
    assert_eq!(refused.status, StatusCode::PRECONDITION_FAILED);
    assert_eq!(refused.problem(), "precondition-failed");
    assert_eq!(harness.read("/api/tasks/a").await["message"], "1");
    let request = Request::delete("/api/tasks/a").header("if-match", &stale);
    let refused = harness.send(request.body("".into()).unwrap()).await;
    assert_eq!(refused.problem(), "precondition-failed");
    // The response to a change has the tag of the new state.
    let tag = changed.header("etag").to_owned();
    let request = Request::delete("/api/tasks/a").header("if-match", &tag);
    let deleted = harness.send(request.body("".into()).unwrap()).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    let gone = patch_if(&harness, "/api/tasks/a", "*", json!({})).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_task_has_no_history_and_is_not_counted() {
    let harness = Harness::new();
    let project = json!({"project_id": "p", "project_name": "P"});
    harness.make("/api/projects", project).await;
    create(&harness, json!({"project_id": "p", "status": "running"})).await;
    let total = async || harness.read("/api/projects/p").await["metrics"]["total_tasks"].clone();
    assert_eq!(total().await, 1);
    harness.read("/api/tasks/a").await; // cached
    let deleted = harness.call(Method::DELETE, "/api/tasks/a").await;
    assert_eq!(
        (deleted.status, deleted.body.len()),
        (StatusCode::NO_CONTENT, 0)
    );
    a_second().await;
    assert_eq!(total().await, 0);
    for path in ["/api/tasks/a", "/api/tasks/a/history"] {
        assert_eq!(
            harness.get(path).await.problem(),
            "task-not-found",
            "{path}"
        );
    }
    assert_eq!(ids(&harness.read("/api/tasks").await), [""; 0]);
    let again = harness.call(Method::DELETE, "/api/tasks/a").await;
    assert_eq!(again.problem(), "task-not-found");
    create(&harness, json!({})).await;
    let history = harness.read("/api/tasks/a/history").await;
    assert_eq!(history["history"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn concurrent_patches_are_all_applied() {
    let harness = Arc::new(Harness::new());
    create(&harness, json!({})).await;
    let patches = (0..6).map(|number: u8| {
        let harness = Arc::clone(&harness);
        let body = json!({"metadata": {format!("by-{number}"): number}});
        async move { patch(&harness, "/api/tasks/a", body).await.status }
    });
    let statuses = futures::future::join_all(patches).await;
    assert!(statuses.iter().all(|status| *status == StatusCode::OK));
    let task = harness.read("/api/tasks/a").await;
    assert_eq!(task["metadata"].as_object().unwrap().len(), 6);
    assert_eq!(task["revision"], 7);
}

#[tokio::test]
async fn a_patch_of_a_project_keeps_its_metrics() {
    let harness = Harness::new();
    let body = json!({"project_id": "p", "project_name": "P", "owner": "ada", "match": ["Prod"]});
    harness.make("/api/projects", body).await;
    create(&harness, json!({"project_id": "p"})).await;
    let tag = harness
        .get("/api/projects/p")
        .await
        .header("etag")
        .to_owned();
    let body = json!({"status": "archived", "owner": null, "match": ["Dev", "Test"]});
    let response = patch_if(&harness, "/api/projects/p", &tag, body.clone()).await;
    assert_eq!(response.status, StatusCode::OK, "{response:?}");
    let project = response.json();
    assert_eq!(
        (&project["status"], &project["match"], project.get("owner")),
        (&json!("archived"), &json!(["Dev", "Test"]), None)
    );
    assert_eq!(project["metrics"]["total_tasks"], 1);
    assert_eq!(harness.read("/api/projects/p").await, project);
    assert_eq!(harness.read("/api/projects").await["projects"][0], project);
    let refused = patch_if(&harness, "/api/projects/p", &tag, body).await;
    assert_eq!(refused.problem(), "precondition-failed");
    let wrong = patch(
        &harness,
        "/api/projects/p",
        json!({"metrics": {}, "project_name": ""}),
    )
    .await;
    assert_eq!(wrong.fields(), ["metrics", "project_name"]);
}

#[tokio::test]
async fn later_log_lines_do_not_reopen_a_task_that_a_caller_ended() {
    let harness = Harness::new();
    let log = Log::new(&harness);
    log.collect(&["[3/10] cloning"]).await;
    let body = json!({"status": "cancelled", "message": "stopped by Ada"});
    let response = patch(&harness, "/api/tasks/agent:a", body).await;
    assert_eq!(response.status, StatusCode::OK, "{response:?}");
    let edited = response.json();
    log.collect(&["[3/10] cloning"]).await;
    let same = harness.read("/api/tasks/agent:a").await;
    assert_eq!(same, edited, "a known line changes nothing");
    log.collect(&["[3/10] cloning", "[4/10] testing", "done"])
        .await;
    let later = harness.read("/api/tasks/agent:a").await;
    for name in ["status", "message", "completed_at"] {
        assert_eq!(later[name], edited[name], "{name}");
    }
}

#[tokio::test]
async fn a_later_log_line_overrides_a_change_by_a_caller() {
    let harness = Harness::new();
    let log = Log::new(&harness);
    log.collect(&["[3/10] cloning"]).await;
    let body = json!({"status": "blocked", "message": "waits for approval"});
    let blocked = patch(&harness, "/api/tasks/agent:a", body).await.json();
    assert_eq!(
        (&blocked["status"], &blocked["message"]),
        (&json!("blocked"), &json!("waits for approval"))
    );
    log.collect(&["[3/10] cloning", "[4/10] testing"]).await;
    let goes_on = harness.read("/api/tasks/agent:a").await;
    assert_eq!(goes_on["status"], "running");
    assert_eq!(goes_on["progress"]["current"], 4);
    assert_ne!(goes_on["message"], "waits for approval");
}

#[tokio::test]
async fn lines_that_are_read_again_do_not_restore_a_deleted_task() {
    let harness = Harness::new();
    let log = Log::new(&harness);
    let lines = ["[3/10] cloning", "[10/10] done"];
    log.collect(&lines).await;
    let deleted = harness.call(Method::DELETE, "/api/tasks/agent:a").await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    log.collect(&lines).await;
    let gone = harness.get("/api/tasks/agent:a").await;
    assert_eq!(gone.problem(), "task-not-found");
    assert_eq!(harness.stored().await, []);
}

#[tokio::test]
async fn an_eta_depends_on_this_run_and_on_earlier_runs() {
    let harness = Harness::new();
    let now = Timestamp::now();
    let before = |seconds: i64| Timestamp::from_millis(now.as_millis() - seconds * 1000);
    let mut running = task("a", 0);
    running.status = TaskStatus::Running;
    running.started_at = Some(before(60));
    running.updated_at = before(10);
    running.progress.current = Some(5);
    running.progress.total = Some(10);
    harness.save(&running).await;
    let shown = harness.read("/api/tasks/a").await;
    let eta: Timestamp = shown["eta"].as_str().unwrap().parse().unwrap();
    assert_eq!(
        eta,
        running.updated_at.after(std::time::Duration::from_secs(50))
    );
    running.task_id = "b".parse().unwrap();
    running.usual_duration_ms = Some(150_000);
    harness.save(&running).await;
    let shown = harness.read("/api/tasks/b").await;
    let eta: Timestamp = shown["eta"].as_str().unwrap().parse().unwrap();
    assert_eq!(
        eta,
        running.updated_at.after(std::time::Duration::from_secs(75))
    );
    // A task that takes longer than usual has no estimate.
    running.task_id = "c".parse().unwrap();
    running.updated_at = before(59);
    running.usual_duration_ms = Some(2_000);
    harness.save(&running).await;
    assert_eq!(harness.read("/api/tasks/c").await.get("eta"), None);
}
