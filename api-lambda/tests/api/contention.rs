//! Many clients that change one task at the same time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use futures::future::join_all;
use serde_json::json;
use testkit::embedded_dynamodb::EmbeddedDynamoDb;
use testkit::store::memory::InMemoryStore;

use crate::harness::{ApiResponse, Harness, patch, patch_if};

const CLIENTS: u64 = 50;
/// The most time that a change may take.
const LONGEST: Duration = Duration::from_secs(5);

async fn create(harness: &Harness) -> ApiResponse {
    let body = json!({"task_id": "a", "task_name": "A", "task_type": "build"});
    let made = harness.post("/api/tasks", body.to_string()).await;
    assert_eq!(made.status, StatusCode::CREATED);
    made
}

/// Clients each add a member to the metadata of one task. All succeed, and none is lost. Each
/// harness stands for a process with the same store.
async fn all_changes_succeed(clients: u64, processes: Vec<Harness>) {
    let processes: Vec<_> = processes.into_iter().map(Arc::new).collect();
    let harness = &processes[0];
    create(harness).await;
    let start = Instant::now();
    let changes = (0..clients).zip(processes.iter().cycle());
    let changes = changes.map(|(client, harness)| {
        let harness = harness.clone();
        tokio::spawn(async move {
            let body = json!({"metadata": {format!("client-{client}"): client}});
            let changed = patch(&harness, "/api/tasks/a", body).await;
            assert_eq!(changed.status, StatusCode::OK, "{changed:?}");
        })
    });
    for change in join_all(changes).await {
        change.unwrap();
    }
    let took = start.elapsed();
    assert!(took < LONGEST, "{took:?}");
    let task = harness.read("/api/tasks/a").await;
    assert_eq!(task["revision"], clients + 1);
    let members = task["metadata"].as_object().unwrap();
    assert_eq!(u64::try_from(members.len()), Ok(clients), "{members:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_changes_of_one_task_at_once_succeed_in_memory() {
    let store = Arc::new(InMemoryStore::new());
    all_changes_succeed(CLIENTS, vec![Harness::with_tasks(store, None)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_changes_of_one_task_at_once_succeed_in_dynamodb() {
    let embedded = EmbeddedDynamoDb::start().await.unwrap();
    let tasks = Arc::new(embedded.tasks());
    all_changes_succeed(CLIENTS, vec![Harness::with_tasks(tasks, None)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn changes_through_several_processes_succeed() {
    let embedded = EmbeddedDynamoDb::start().await.unwrap();
    let process = |_| Harness::with_tasks(Arc::new(embedded.tasks()), None);
    all_changes_succeed(20, (0..4).map(process).collect()).await;
}

#[tokio::test]
async fn of_fifty_changes_of_one_state_one_succeeds() {
    let embedded = EmbeddedDynamoDb::start().await.unwrap();
    let harness = Harness::with_tasks(Arc::new(embedded.tasks()), None);
    let made = create(&harness).await;
    let tag = made.header("etag");
    let changes = (0..CLIENTS).map(async |client| {
        let body = json!({"message": client.to_string()});
        patch_if(&harness, "/api/tasks/a", tag, body).await.status
    });
    let statuses = join_all(changes).await;
    let count = |wanted| statuses.iter().filter(|status| **status == wanted).count();
    assert_eq!(count(StatusCode::OK), 1, "{statuses:?}");
    assert_eq!(count(StatusCode::PRECONDITION_FAILED), 49, "{statuses:?}");
}
