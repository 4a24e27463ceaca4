//! Every file in `events/api` is an event from a source of HTTP requests. The Lambda runtime parses
//! it, and the API must answer as the name of the file says.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use axum::body::Body;
use axum::http::StatusCode;
use serde_json::{Value, json};
use shared::model::TaskType;

use crate::harness::{ApiResponse, Harness, ids, task};

/// The events that each source has: one of each method, a path with escapes, a query with lists, a
/// body in base64.
const EACH_SOURCE: [&str; 9] = [
    "add-lines",
    "change-task",
    "create-task",
    "delete-task",
    "get-encoded-task",
    "get-task",
    "head-task",
    "list-tasks",
    "options-tasks",
];

const SOURCES: [&str; 7] = [
    "alb",
    "alb-multi-value",
    "function-url",
    "http-v2",
    "http-v2-stage",
    "rest-v1",
    "rest-v1-domain",
];

/// The stage in the paths of `rest-v1` and `http-v2-stage`.
const STAGE: &str = "/prod";

/// The id in the events, with a character that clients may percent-encode.
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

/// An API with the tasks and the project that the events name.
async fn harness() -> Harness {
    let harness = Harness::new();
    harness.save(&task("cdk-deploy-MiyabiWebUIStack", 1)).await;
    let mut deploy = task(TASK, 2);
    deploy.task_type = TaskType::CdkDeploy;
    harness.save(&deploy).await;
    let project = json!({"project_id": "miyabi-web", "project_name": "Miyabi Web"});
    harness.make("/api/projects", project).await;
    harness
}

/// Checks the body of the response to the event with this name.
async fn check(name: &str, harness: &Harness, response: &ApiResponse) {
    let is_text = |value: &Value, expected: &str| assert_eq!(value, expected, "{name}");
    match name {
        "list-tasks" => assert_eq!(ids(&response.json()), [TASK]),
        "get-encoded-task" => is_text(&response.json()["task_id"], TASK),
        "get-task" => is_text(&response.json()["task_id"], "cdk-deploy-MiyabiWebUIStack"),
        "change-task" => {
            let task = response.json();
            is_text(&task["message"], "Verpackt · 3/8 läuft");
            is_text(&task["status"], "running");
            assert_eq!(task["progress"]["percentage"], 37);
        }
        "change-project" => is_text(&response.json()["owner"], "Team Miyabi"),
        "create-task" => {
            let task = response.json();
            is_text(&task["task_name"], "Agent · review of the billing module");
        }
        "add-lines" => {
            is_text(&response.json()["task_id"], "run:nightly");
            let task = harness.read("/api/tasks/run:nightly").await;
            is_text(&task["context"]["actor"], "mia");
            assert_eq!(task["progress"]["current"], 3);
        }
        "get-overview" => assert_eq!(response.json()["counts"]["pending"], 2),
        "get-push" => is_text(&response.json()["tasks"], "/progress/tasks"),
        "list-task-runs" => {
            let run = &response.json()["runs"][0];
            is_text(&run["task_id"], "cdk-deploy-MiyabiWebUIStack");
        }
        "delete-task" => {
            let left = harness.stored().await;
            assert_eq!(left.len(), 1, "{left:?}");
            assert!(response.body.is_empty());
        }
        "head-task" => {
            assert!(response.body.is_empty());
            assert!(!response.header("etag").is_empty());
        }
        "options-tasks" => assert_eq!(response.header("allow"), "GET,HEAD,POST"),
        "docs" | "dashboard" => assert!(response.body.starts_with(b"<!doctype html>")),
        "openapi" => is_text(&response.json()["openapi"], "3.1.0"),
        _ => assert!(response.json().is_object()),
    }
}

#[tokio::test]
async fn every_event_gets_the_response_that_its_name_promises() {
    for source in entries(&events()) {
        let source_name = name(&source);
        // If the client has to write the stage, links must have it too.
        let has_stage = ["rest-v1", "http-v2-stage"].contains(&source_name.as_str());
        for file in entries(&source) {
            let event = fs::read_to_string(&file).unwrap();
            let request = lambda_http::request::from_str(&event).unwrap();
            let harness = harness().await;
            let response = harness.send(request.map(into_body)).await;
            let name = name(&file);
            let expected = match name.split_once('-') {
                Some(("create", _)) => StatusCode::CREATED,
                Some(("add", _)) => StatusCode::ACCEPTED,
                Some(("delete" | "options", _)) => StatusCode::NO_CONTENT,
                _ => StatusCode::OK,
            };
            assert_eq!(response.status, expected, "{file:?}: {response:?}");
            check(&name, &harness, &response).await;
            if expected == StatusCode::CREATED {
                let start = if has_stage { "/prod/api/" } else { "/api/" };
                assert!(response.header("location").starts_with(start), "{file:?}");
            }
            if name == "dashboard" {
                // An address relative to `/prod` would not be below it.
                let start = if has_stage {
                    "=\"/prod/assets/"
                } else {
                    "=\"assets/"
                };
                let html = String::from_utf8(response.body).unwrap();
                assert_eq!(html.matches(start).count(), 2, "{file:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_rest_api_gets_no_compressed_response() {
    let check = async |source: &str, expected: &str| {
        let event = fs::read_to_string(events().join(source).join("openapi.json")).unwrap();
        let mut event: Value = serde_json::from_str(&event).unwrap();
        event["headers"]["accept-encoding"] = "gzip".into();
        if source == "rest-v1" {
            event["multiValueHeaders"]["accept-encoding"] = json!(["gzip"]);
        }
        let request = lambda_http::request::from_str(&event.to_string()).unwrap();
        let response = Harness::new().send(request.map(into_body)).await;
        assert_eq!(response.status, StatusCode::OK);
        assert_eq!(response.header("content-encoding"), expected, "{source}");
    };
    check("rest-v1", "").await;
    check("http-v2", "gzip").await;
    check("alb", "gzip").await;
}

/// The body as the Lambda runtime passes it on.
fn into_body(body: lambda_http::Body) -> Body {
    Body::new(body)
}

/// The operations of the OpenAPI document, and the dashboard: `GET /api/tasks/{task_id}`.
fn operations() -> BTreeSet<String> {
    let document: Value = serde_json::from_str(include_str!("../../openapi.json")).unwrap();
    let mut operations = BTreeSet::from(["GET /".to_owned()]);
    for (path, item) in document["paths"].as_object().unwrap() {
        let methods = item.as_object().unwrap().keys();
        operations.extend(methods.map(|method| format!("{} {path}", method.to_uppercase())));
    }
    operations
}

/// The method and the path that an event requests, without the stage.
fn requested(event: &Path) -> (String, String) {
    let event = fs::read_to_string(event).unwrap();
    let request = lambda_http::request::from_str(&event).unwrap();
    let full_path = request.uri().path();
    let path = match full_path.strip_prefix(STAGE) {
        // The runtime adds the stage a second time to a path that is only the stage.
        Some("" | STAGE) => "/",
        Some(path) => path,
        None => full_path,
    };
    (request.method().to_string(), path.to_owned())
}

/// Whether a path fits a template such as `/api/tasks/{task_id}`.
fn fits(path: &str, template: &str) -> bool {
    let (segments, templates) = (path.split('/'), template.split('/'));
    segments.clone().count() == templates.clone().count()
        && segments
            .zip(templates)
            .all(|(segment, template)| template.starts_with('{') || segment == template)
}

#[test]
fn every_operation_has_an_event_of_either_version() {
    for source in ["http-v2", "rest-v1"] {
        let files = entries(&events().join(source));
        let requests: Vec<_> = files.iter().map(|file| requested(file)).collect();
        for operation in operations() {
            let (method, template) = operation.split_once(' ').unwrap();
            let is_one =
                |(requested, path): &(String, String)| requested == method && fits(path, template);
            let found = requests.iter().any(is_one);
            assert!(found, "{source} has no event for {operation}");
        }
    }
}

#[test]
fn every_event_requests_an_operation() {
    let operations = operations();
    for file in entries(&events()).iter().flat_map(|source| entries(source)) {
        let (requested, path) = requested(&file);
        let is_requested = |operation: &String| {
            let (method, template) = operation.split_once(' ').unwrap();
            let is_method = match requested.as_str() {
                "HEAD" => method == "GET",
                "OPTIONS" => true,
                requested => requested == method,
            };
            is_method && fits(&path, template)
        };
        let found = operations.iter().any(is_requested);
        assert!(found, "{file:?} requests no operation of the API");
    }
}

#[test]
fn every_source_has_an_event_of_each_kind() {
    for source in SOURCES {
        let files = entries(&events().join(source));
        let names: BTreeSet<_> = files.iter().map(|file| name(file)).collect();
        let expected = EACH_SOURCE.map(str::to_owned).into();
        assert!(names.is_superset(&expected), "{source}: {names:?}");
    }
}
