//! Every file below `events/api` is an event that a front door sends, and has the answer that its name
//! promises: 201 for `create-…`, 200 for all others.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use axum::body::Body;
use serde_json::json;

use crate::world::{World, task};

const ROUTES: [&str; 11] = [
    "create-project",
    "create-task",
    "dashboard",
    "get-project",
    "get-task",
    "get-task-history",
    "health",
    "list-project-tasks",
    "list-projects",
    "list-tasks",
    "ready",
];

fn events() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../events/api")
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn name(path: &Path) -> String {
    path.file_stem().unwrap().to_str().unwrap().to_owned()
}

/// A world that has what the events ask for.
async fn world() -> World {
    let world = World::new();
    world.save(&task("cdk-deploy-MiyabiWebUIStack", 1)).await;
    let project = json!({"project_id": "miyabi-web", "project_name": "Miyabi Web"});
    world.make("/api/projects", project).await;
    world
}

#[tokio::test]
async fn every_event_is_answered_as_its_name_promises() {
    let mut count = 0;
    for door in entries(&events()) {
        for file in entries(&door) {
            let event = fs::read_to_string(&file).unwrap();
            let request = lambda_http::request::from_str(&event).unwrap();
            let answer = world().await.send(request.map(into_body)).await;
            let is_made = name(&file).starts_with("create-");
            let expected = if is_made { 201 } else { 200 };
            assert_eq!(answer.status, expected, "{file:?}: {answer:?}");
            // Where the client named a stage, it has to name it again.
            let has_stage = ["rest-v1", "http-v2-stage"].contains(&name(&door).as_str());
            if is_made {
                let start = if has_stage { "/prod/api/" } else { "/api/" };
                assert!(answer.header("location").starts_with(start), "{file:?}");
            }
            if name(&file) == "dashboard" {
                // A relative address of `/prod` would not be below it.
                let start = if has_stage {
                    "=\"/prod/assets/"
                } else {
                    "=\"assets/"
                };
                let html = String::from_utf8(answer.body).unwrap();
                assert_eq!(html.matches(start).count(), 2, "{file:?}");
            }
            count += 1;
        }
    }
    assert!(count >= 2 * ROUTES.len());
}

/// A body as the Lambda runtime hands it on.
fn into_body(body: lambda_http::Body) -> Body {
    Body::new(body)
}

#[test]
fn every_route_has_an_event_of_either_version() {
    for door in ["http-v2", "rest-v1"] {
        let files = entries(&events().join(door));
        let names: BTreeSet<_> = files.iter().map(|file| name(file)).collect();
        assert_eq!(names, ROUTES.map(str::to_owned).into());
    }
}
