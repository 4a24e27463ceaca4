//! Every file below `events/api` is an event that a front door sends, pushed through the deserializer of the
//! Lambda runtime, and has the answer that its name promises.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use axum::body::Body;
use axum::http::StatusCode;
use serde_json::{Value, json};
use shared::model::TaskType;

use crate::world::{Answer, World, ids, task};

const ROUTES: [&str; 19] = [
    "change-project",
    "change-task",
    "create-project",
    "create-task",
    "dashboard",
    "delete-task",
    "docs",
    "get-encoded-task",
    "get-project",
    "get-task",
    "get-task-history",
    "head-task",
    "health",
    "list-project-tasks",
    "list-projects",
    "list-tasks",
    "openapi",
    "options-tasks",
    "ready",
];

/// What each door has: a request of each method, a path with escapes, a query with lists, a body in base64.
const EACH_DOOR: [&str; 8] = [
    "change-task",
    "create-task",
    "delete-task",
    "get-encoded-task",
    "get-task",
    "head-task",
    "list-tasks",
    "options-tasks",
];

const DOORS: [&str; 7] = [
    "alb",
    "alb-multi-value",
    "function-url",
    "http-v2",
    "http-v2-stage",
    "rest-v1",
    "rest-v1-domain",
];

/// The task of which the events speak, with what a path may escape in its id.
const TASK: &str = "cdk:deploy-42";

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
    let mut deploy = task(TASK, 2);
    deploy.task_type = TaskType::CdkDeploy;
    world.save(&deploy).await;
    let project = json!({"project_id": "miyabi-web", "project_name": "Miyabi Web"});
    world.make("/api/projects", project).await;
    world
}

/// Checks the answer to the event of this name.
async fn check(name: &str, world: &World, answer: &Answer) {
    let is_text = |value: &Value, expected: &str| assert_eq!(value, expected, "{name}");
    match name {
        "list-tasks" => assert_eq!(ids(&answer.json()), [TASK]),
        "get-encoded-task" => is_text(&answer.json()["task_id"], TASK),
        "get-task" => is_text(&answer.json()["task_id"], "cdk-deploy-MiyabiWebUIStack"),
        "change-task" => {
            let task = answer.json();
            is_text(&task["message"], "Verpackt · 3/8 läuft");
            is_text(&task["status"], "running");
            assert_eq!(task["progress"]["percentage"], 37);
        }
        "change-project" => is_text(&answer.json()["owner"], "Team Miyabi"),
        "create-task" => {
            let task = answer.json();
            is_text(&task["task_name"], "Agent · review of the billing module");
        }
        "delete-task" => {
            let left = world.stored().await;
            assert_eq!(left.len(), 1, "{left:?}");
            assert!(answer.body.is_empty());
        }
        "head-task" => {
            assert!(answer.body.is_empty());
            assert!(!answer.header("etag").is_empty());
        }
        "options-tasks" => assert_eq!(answer.header("allow"), "GET,HEAD,POST"),
        "docs" | "dashboard" => assert!(answer.body.starts_with(b"<!doctype html>")),
        "openapi" => is_text(&answer.json()["openapi"], "3.1.0"),
        _ => assert!(answer.json().is_object()),
    }
}

#[tokio::test]
async fn every_event_is_answered_as_its_name_promises() {
    for door in entries(&events()) {
        for file in entries(&door) {
            let event = fs::read_to_string(&file).unwrap();
            let request = lambda_http::request::from_str(&event).unwrap();
            let world = world().await;
            let answer = world.send(request.map(into_body)).await;
            let name = name(&file);
            let expected = match name.split_once('-') {
                Some(("create", _)) => StatusCode::CREATED,
                Some(("delete" | "options", _)) => StatusCode::NO_CONTENT,
                _ => StatusCode::OK,
            };
            assert_eq!(answer.status, expected, "{file:?}: {answer:?}");
            check(&name, &world, &answer).await;
            // Where the client named a stage, it has to name it again.
            let door = door.file_name().unwrap().to_str().unwrap();
            let has_stage = ["rest-v1", "http-v2-stage"].contains(&door);
            if expected == StatusCode::CREATED {
                let start = if has_stage { "/prod/api/" } else { "/api/" };
                assert!(answer.header("location").starts_with(start), "{file:?}");
            }
            if name == "dashboard" {
                // A relative address of `/prod` would not be below it.
                let start = if has_stage {
                    "=\"/prod/assets/"
                } else {
                    "=\"assets/"
                };
                let html = String::from_utf8(answer.body).unwrap();
                assert_eq!(html.matches(start).count(), 2, "{file:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_rest_api_is_given_text_as_it_can_not_hand_on_bytes() {
    let check = async |door: &str, expected: &str| {
        let event = fs::read_to_string(events().join(door).join("openapi.json")).unwrap();
        let mut event: Value = serde_json::from_str(&event).unwrap();
        event["headers"]["accept-encoding"] = "gzip".into();
        if door == "rest-v1" {
            event["multiValueHeaders"]["accept-encoding"] = json!(["gzip"]);
        }
        let request = lambda_http::request::from_str(&event.to_string()).unwrap();
        let answer = World::new().send(request.map(into_body)).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.header("content-encoding"), expected, "{door}");
    };
    check("rest-v1", "").await;
    check("http-v2", "gzip").await;
    check("alb", "gzip").await;
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

#[test]
fn every_door_has_an_event_of_each_kind() {
    for door in DOORS {
        let files = entries(&events().join(door));
        let names: BTreeSet<_> = files.iter().map(|file| name(file)).collect();
        let expected = EACH_DOOR.map(str::to_owned).into();
        assert!(names.is_superset(&expected), "{door}: {names:?}");
    }
}
