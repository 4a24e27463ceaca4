use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Harness, a_second, ids, patch, patch_if, task};

#[tokio::test]
async fn a_created_project_is_found() {
    let harness = Harness::new();
    assert_eq!(harness.read("/api/projects").await, json!({"projects": []}));
    let body = json!({
        "project_id": "alpha", "project_name": "Alpha", "description": "first\nline",
        "owner": "platform", "status": "paused", "match": ["Miyabi", "agent-"],
    });
    let response = harness.post("/api/projects", body.to_string()).await;
    assert_eq!(response.status, StatusCode::CREATED);
    assert_eq!(response.header("location"), "/api/projects/alpha");
    let made = response.json();
    for (name, value) in body.as_object().unwrap() {
        assert_eq!(&made[name], value, "{name}");
    }
    assert_eq!(made["metrics"]["total_tasks"], 0);
    assert_eq!(harness.read("/api/projects/alpha").await, made);
    assert_eq!(
        harness.read("/api/projects").await,
        json!({"projects": [made]})
    );
}

#[tokio::test]
async fn a_project_counts_its_tasks() {
    let harness = Harness::new();
    let body = |id: &str| json!({"task_id": id, "task_name": "x", "task_type": "build", "project_id": "alpha"});
    // A task can name a project before the project exists.
    harness.make("/api/tasks", body("a")).await;
    assert_eq!(ids(&harness.read("/api/projects/alpha/tasks").await), ["a"]);
    let project = json!({"project_id": "alpha", "project_name": "Alpha"});
    let made = harness.make("/api/projects", project).await;
    assert_eq!(made["metrics"]["pending"], 1);
    harness.make("/api/tasks", body("b")).await;
    let shown = harness.read("/api/projects/alpha").await;
    assert_eq!(shown["metrics"]["total_tasks"], 2);
    let all = harness.read("/api/projects").await;
    assert_eq!(all["projects"][0]["metrics"]["total_tasks"], 2);
}

#[tokio::test]
async fn a_project_lists_its_own_tasks() {
    let harness = Harness::new();
    harness
        .make(
            "/api/projects",
            json!({"project_id": "empty", "project_name": "Empty"}),
        )
        .await;
    for number in 0..7 {
        let mut next = task(&format!("t{number}"), number);
        let owner = if number % 2 == 0 { "alpha" } else { "beta" };
        next.project_id = Some(owner.parse().unwrap());
        harness.save(&next).await;
    }
    let first = harness.read("/api/projects/alpha/tasks?limit=3").await;
    assert_eq!(ids(&first), ["t6", "t4", "t2"]);
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = format!("/api/projects/alpha/tasks?limit=3&cursor={cursor}");
    assert_eq!(ids(&harness.read(&rest).await), ["t0"]);
    assert_eq!(
        ids(&harness.read("/api/projects/empty/tasks").await),
        [""; 0]
    );
    let response = harness.get("/api/projects/none/tasks").await;
    assert_eq!(response.status, StatusCode::NOT_FOUND);
    assert_eq!(response.problem(), "project-not-found");
}

#[tokio::test]
async fn a_project_id_can_be_used_only_once() {
    let harness = Harness::new();
    let body = json!({"project_id": "alpha", "project_name": "Alpha"});
    let made = harness.make("/api/projects", body).await;
    let again = json!({"project_id": "alpha", "project_name": "Other"});
    let response = harness.post("/api/projects", again.to_string()).await;
    assert_eq!(response.status, StatusCode::CONFLICT);
    assert_eq!(response.problem(), "project-exists");
    assert_eq!(harness.read("/api/projects/alpha").await, made);
    assert_eq!(
        harness.get("/api/projects/none").await.problem(),
        "project-not-found"
    );
}

#[tokio::test]
async fn an_invalid_project_names_the_fields_and_is_not_created() {
    let harness = Harness::new();
    let check = async |name: &str, value: Value, field: &str| {
        let mut body = json!({"project_name": "Alpha"});
        body[name] = value;
        let response = harness.post("/api/projects", body.to_string()).await;
        assert_eq!(response.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        assert_eq!(response.fields(), [field], "{body}");
    };
    check("project_name", json!(null), "project_name").await;
    check("project_name", json!("\t"), "project_name").await;
    check("project_id", json!("a b"), "project_id").await;
    check("status", json!("running"), "status").await;
    check("owner", json!("x".repeat(257)), "owner").await;
    check("description", json!("x".repeat(1025)), "description").await;
    check("match", json!("Miyabi"), "match").await;
    check("match", json!(vec!["x"; 21]), "match").await;
    check("match", json!(["a", ""]), "match[1]").await;
    check("match", json!([1]), "match[0]").await;
    check("match", json!(["x".repeat(129)]), "match[0]").await;
    check("metrics", json!({}), "metrics").await;
    assert_eq!(harness.read("/api/projects").await, json!({"projects": []}));
}

#[tokio::test]
async fn a_project_that_only_tasks_name_does_not_exist_yet() {
    let harness = Harness::new();
    let body = json!({"task_id": "a", "task_name": "A", "task_type": "build", "project_id": "p"});
    harness.make("/api/tasks", body).await;
    let path = "/api/projects/p";
    assert_eq!(harness.get(path).await.problem(), "project-not-found");
    let changed = patch(&harness, path, json!({"owner": "o"})).await;
    assert_eq!(changed.problem(), "project-not-found");
    assert_eq!(harness.read("/api/projects").await, json!({"projects": []}));
    let tasks = harness.read("/api/projects/p/tasks").await;
    assert_eq!(ids(&tasks), ["a"]);
    let project = json!({"project_id": "p", "project_name": "P"});
    let made = harness.make("/api/projects", project).await;
    assert_eq!(made["metrics"]["total_tasks"], 1);
}

#[tokio::test(start_paused = true)]
async fn if_match_compares_all_of_a_project_but_its_metrics() {
    let harness = Harness::new();
    let project = json!({"project_id": "p", "project_name": "P"});
    harness.make("/api/projects", project).await;
    let path = "/api/projects/p";
    let tag = harness.get(path).await.header("etag").to_owned();
    let body = json!({"task_name": "A", "task_type": "build", "project_id": "p"});
    harness.make("/api/tasks", body).await;
    a_second().await;
    let counted = harness.get(path).await.header("etag").to_owned();
    assert_ne!(counted, tag);
    for made_up in ["\"1\"", "\"1-0\"", "\"1-0-0\""] {
        let refused = patch_if(&harness, path, made_up, json!({"owner": "o"})).await;
        assert_eq!(refused.problem(), "precondition-failed", "{made_up}");
    }
    let changed = patch_if(&harness, path, &tag, json!({"owner": "o"})).await;
    assert_eq!(changed.status, StatusCode::OK, "{changed:?}");
    assert_eq!(
        changed.header("etag"),
        harness.get(path).await.header("etag")
    );
    for stale in [tag, counted] {
        let refused = patch_if(&harness, path, &stale, json!({"owner": "x"})).await;
        assert_eq!(refused.problem(), "precondition-failed");
    }
}
