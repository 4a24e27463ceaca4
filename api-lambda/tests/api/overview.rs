//! What needs attention, and counts of everything.

use std::sync::Arc;
use std::time::Duration;

use api_lambda::{ApiState, Auth, Cors, router};
use serde_json::{Value, json};
use shared::model::{Task, TaskStatus, Timestamp};
use shared::store::{ProjectStore, TaskStore};
use testkit::embedded_dynamodb::EmbeddedDynamoDb;
use testkit::store::memory::InMemoryStore;

use crate::harness::{Harness, STALE_AFTER, change, failing_store, task};

const HOUR: u64 = 60;
const DAY: u64 = 24 * HOUR;

/// A task that began and last changed these numbers of minutes ago.
fn aged(id: &str, status: TaskStatus, begun: u64, changed: u64) -> Task {
    let ago = |minutes: u64| Timestamp::now().before(Duration::from_secs(minutes * 60));
    Task {
        status,
        run: ago(begun),
        created_at: ago(begun),
        updated_at: ago(changed),
        project_id: Some("p".parse().unwrap()),
        ..task(id, 0)
    }
}

/// An API over these stores.
fn harness(tasks: Arc<dyn TaskStore>, projects: Arc<dyn ProjectStore>) -> Harness {
    let state = ApiState::new(tasks, projects, None, STALE_AFTER);
    Harness {
        store: Arc::new(InMemoryStore::new()),
        cache: None,
        router: router(state, Auth::none(), Cors::default()),
    }
}

fn attention(overview: &Value) -> Vec<&str> {
    let entries = overview["attention"].as_array().unwrap().iter();
    entries
        .map(|task| task["task_id"].as_str().unwrap())
        .collect()
}

async fn check_attention(tasks: Arc<dyn TaskStore>, projects: Arc<dyn ProjectStore>) {
    for task in [
        aged("blocked-a-month", TaskStatus::Blocked, 30 * DAY, 30 * DAY),
        aged("blocked", TaskStatus::Blocked, HOUR, 1),
        aged("failed", TaskStatus::Failed, 2 * HOUR, HOUR),
        aged("failed-after-6-days", TaskStatus::Failed, 6 * DAY, HOUR),
        aged("failed-after-8-days", TaskStatus::Failed, 8 * DAY, HOUR),
        aged(
            "failed-25-hours-ago",
            TaskStatus::Failed,
            26 * HOUR,
            25 * HOUR,
        ),
        aged("silent", TaskStatus::Running, 3 * HOUR, 20),
        aged("silent-for-2-days", TaskStatus::Running, 3 * DAY, 2 * DAY),
        aged("running", TaskStatus::Running, HOUR, 1),
        aged("pending", TaskStatus::Pending, HOUR, HOUR),
        aged("completed", TaskStatus::Completed, HOUR, HOUR),
    ] {
        tasks.save(&change(None, &task)).await.unwrap();
    }
    let harness = harness(tasks, projects);
    let project = json!({"project_id": "p", "project_name": "P"});
    harness.make("/api/projects", project).await;
    let overview = harness.read("/api/overview").await;
    let expected = [
        "blocked",
        "blocked-a-month",
        "failed",
        "failed-after-6-days",
        "silent",
    ];
    assert_eq!(attention(&overview), expected);
    assert_eq!(overview["attention"][4]["stale"], true);
    let counts = &overview["counts"];
    for (status, count) in [
        ("total_tasks", 11),
        ("pending", 1),
        ("running", 3),
        ("blocked", 2),
        ("completed", 1),
        ("failed", 4),
        ("cancelled", 0),
    ] {
        assert_eq!(counts[status], count, "{status}");
    }
    assert_eq!(
        overview["projects"],
        harness.read("/api/projects").await["projects"]
    );
    assert_eq!(overview["projects"][0]["metrics"], *counts);
    let listed = harness.read("/api/tasks?status=failed&limit=1").await;
    assert_eq!(overview["attention"][2], listed["tasks"][0]);
}

#[tokio::test]
async fn what_needs_attention_is_shown_from_memory() {
    let store = Arc::new(InMemoryStore::new());
    check_attention(store.clone(), store).await;
}

#[tokio::test]
async fn what_needs_attention_is_shown_from_dynamodb() {
    let embedded = EmbeddedDynamoDb::start().await.unwrap();
    let stores = embedded.stores();
    check_attention(stores.tasks, stores.projects).await;
}

#[tokio::test]
async fn the_overview_shows_at_most_fifty_tasks_and_counts_all() {
    let store = Arc::new(InMemoryStore::new());
    for number in 0..60 {
        let task = aged(&format!("b{number}"), TaskStatus::Blocked, number, 0);
        store.save(&change(None, &task)).await.unwrap();
    }
    let failed = aged("failed", TaskStatus::Failed, HOUR, HOUR);
    store.save(&change(None, &failed)).await.unwrap();
    let overview = harness(store.clone(), store).read("/api/overview").await;
    let attention = attention(&overview);
    assert_eq!(attention.len(), 50);
    assert_eq!((attention[0], attention[49]), ("b0", "b49"));
    assert_eq!(overview["counts"]["total_tasks"], 61);
}

#[tokio::test]
async fn an_empty_overview_and_one_that_can_not_be_read() {
    let empty = Harness::new().read("/api/overview").await;
    assert_eq!(
        (&empty["attention"], &empty["projects"]),
        (&json!([]), &json!([]))
    );
    assert_eq!(empty["counts"]["total_tasks"], 0);
    let refused = Harness::new().get("/api/overview?limit=1").await;
    assert_eq!(refused.fields(), ["limit"]);
    let down = Harness::with_tasks(failing_store(), None);
    assert_eq!(down.get("/api/overview").await.problem(), "unavailable");
}
