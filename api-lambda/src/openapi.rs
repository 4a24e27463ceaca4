//! The description of the API, OpenAPI 3.1: made here from what stands beside the handlers, and only in tests.
//!
//! What is served is the file `openapi.json`, so that no code of this is in the function. The tests below hold
//! three things together: the file and the handlers, the document and the router, the schemas and the records.
//!
//! Handlers say what is theirs alone: parameters, body, what they answer, and the names of their problems. What
//! the layers of the router add to all of them is added to the document here: tokens, headers, and the
//! problems that any request may have.

mod layers;
mod parameters;
mod schemas;

use serde_json::{Value, json};
use utoipa::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};

pub(crate) use parameters::*;
pub(crate) use schemas::*;

use crate::routes;

/// The command that writes the file anew.
const REGENERATE: &str = "UPDATE_OPENAPI=1 cargo test -p api-lambda --lib openapi";

const DESCRIPTION: &str = "Tasks with live progress, made of what `cdk deploy` and automation agents print.\n\n\
    Errors are problem documents (RFC 9457); their types are listed in `docs/problems.md`. Reads have an `ETag`, and \
    answer 304 to an `If-None-Match` that names it. HEAD is taken wherever GET is; a method that a path does not take is \
    answered 405, with `Allow`. Unless it runs with \
    `AUTH_MODE=none`, the API asks for a bearer token (JWT).";

const TOKEN: &str = "A JWT, signed with a key that the API is set up with. Scopes, in the claim `scope` or `scp`: \
    `progress:read` for GET and HEAD, `progress:write` for all else.";

#[derive(OpenApi)]
#[openapi(
    tags(
        (name = "tasks", description = "One run of a deploy or of an agent each"),
        (name = "projects", description = "Tasks that belong together"),
        (name = "service", description = "The API itself"),
    ),
    components(schemas(Problem, Moment)),
)]
struct Document;

/// The document, as it is served.
fn document() -> Value {
    let mut document = Document::openapi();
    for part in [
        routes::tasks::Described::openapi(),
        routes::projects::Described::openapi(),
        routes::health::Described::openapi(),
        routes::docs::Described::openapi(),
    ] {
        document.merge(part);
    }
    let mut http = Http::new(HttpAuthScheme::Bearer);
    http.bearer_format = Some("JWT".to_owned());
    http.description = Some(TOKEN.to_owned());
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("token", SecurityScheme::Http(http));
    let mut document = serde_json::to_value(&document).unwrap();
    document["info"] = json!({
        "title": "Miyabi Progress",
        "version": env!("CARGO_PKG_VERSION"),
        "description": DESCRIPTION,
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    });
    // Relative to where the document is found: a stage before the path is kept.
    document["servers"] = json!([{"url": "."}]);
    layers::add_to(&mut document);
    document
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    use axum::body::Body;
    use axum::http::{Request, StatusCode};
    use serde::Serialize;
    use shared::model;
    use shared::view::Renderer;
    use testkit::store::memory::InMemoryStore;
    use tower::ServiceExt as _;

    use super::*;
    use crate::{ApiState, Auth, Cors, router};

    const METHODS: [&str; 8] = [
        "get", "head", "post", "put", "patch", "delete", "options", "trace",
    ];

    #[test]
    fn the_committed_document_is_the_one_that_the_handlers_make() {
        let made = serde_json::to_string_pretty(&document()).unwrap() + "\n";
        if std::env::var_os("UPDATE_OPENAPI").is_some() {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
            fs::write(path, &made).unwrap();
        } else {
            let is_same = made.as_bytes() == routes::docs::OPENAPI;
            assert!(is_same, "openapi.json is out of date: {REGENERATE}");
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn walk(value: &Value, found: &mut Vec<String>) {
            match value {
                Value::Object(members) => {
                    let reference = members.get("$ref").and_then(Value::as_str);
                    found.extend(reference.map(str::to_owned));
                    members.values().for_each(|value| walk(value, found));
                }
                Value::Array(values) => values.iter().for_each(|value| walk(value, found)),
                _ => {}
            }
        }
        let document = document();
        let mut references = Vec::new();
        walk(&document, &mut references);
        assert!(references.len() > 100);
        for reference in references {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }

    /// The path with something in place of its parameters.
    fn filled(path: &str) -> String {
        path.replace("{task_id}", "a").replace("{project_id}", "a")
    }

    fn api() -> axum::Router {
        let store = Arc::new(InMemoryStore::new());
        let state = ApiState::new(store.clone(), store, None, Duration::from_secs(1));
        router(state, Auth::none(), Cors::default())
    }

    /// The methods that the router takes at `path`.
    async fn taken(path: &str) -> BTreeSet<String> {
        let mut taken = BTreeSet::new();
        for method in METHODS {
            let name = method.to_uppercase();
            let request = Request::builder().method(name.as_str()).uri(filled(path));
            let request = request.body(Body::empty()).unwrap();
            let response = api().oneshot(request).await.unwrap();
            // OPTIONS is answered for every path, and says which methods it takes.
            if method != "options" && response.status() != StatusCode::METHOD_NOT_ALLOWED {
                taken.insert(method.to_owned());
            }
        }
        taken
    }

    #[tokio::test]
    async fn the_router_takes_what_is_documented_and_no_other_method() {
        let document = document();
        for (path, item) in document["paths"].as_object().unwrap() {
            let documented = METHODS
                .into_iter()
                .filter(|method| item[*method].is_object());
            let mut documented: BTreeSet<_> = documented.map(str::to_owned).collect();
            if documented.contains("get") {
                documented.insert("head".to_owned());
            }
            assert_eq!(taken(path).await, documented, "{path}");
        }
    }

    /// The paths of the routes: the router lists them only to those who debug it.
    fn routed() -> BTreeSet<String> {
        let shown = format!("{:?}", crate::routes::all());
        let texts = shown.split('"').skip(1).step_by(2);
        let paths = texts.filter(|text| text.starts_with('/') && !text.contains("__private"));
        paths.map(str::to_owned).collect()
    }

    #[test]
    fn every_route_is_documented_but_for_the_files_of_pages() {
        let document = document();
        let documented: BTreeSet<_> = document["paths"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect();
        let mut routed = routed();
        assert!(routed.is_superset(&documented), "{routed:?}");
        routed.retain(|path| {
            let files = ["/assets/", "/docs/", "/favicon."];
            path != "/" && !files.iter().any(|start| path.starts_with(start))
        });
        assert_eq!(routed, documented);
    }

    /// Checks a record, once as full and once as empty as it gets, against a schema: each field of the full one is
    /// a property and the other way round, and those of the empty one are required.
    fn check(schema: &str, full: impl Serialize, least: impl Serialize) {
        let document = document();
        let schema = &document["components"]["schemas"][schema];
        let names = |value: Value| -> BTreeSet<String> {
            value.as_object().unwrap().keys().cloned().collect()
        };
        let properties = names(schema["properties"].clone());
        assert_eq!(properties, names(serde_json::to_value(full).unwrap()));
        let required = schema["required"].as_array().unwrap().iter();
        let required: BTreeSet<_> = required
            .map(|name| name.as_str().unwrap().to_owned())
            .collect();
        assert_eq!(required, names(serde_json::to_value(least).unwrap()));
    }

    /// A task that has all fields. No `..`: a field that is new has to be written here, and so into the schema.
    fn full_task() -> model::Task {
        let at = model::Timestamp::from_millis(1_700_000_000_000);
        let part = model::Part {
            progress: model::Progress::default(),
            status: model::TaskStatus::Running,
            phase: None,
            message: None,
            started_at: Some(at),
            completed_at: Some(at),
        };
        model::Task {
            task_id: "a".parse().unwrap(),
            task_name: "A".to_owned(),
            task_type: model::TaskType::Build,
            status: model::TaskStatus::Running,
            priority: Some(model::Priority::P0),
            progress: model::Progress {
                current: Some(1),
                total: Some(2),
                percentage: Some(50),
            },
            parts: [("b".to_owned(), part)].into(),
            run: at.to_string(),
            revision: model::Revision(1),
            project_id: Some("p".parse().unwrap()),
            message: Some(String::new()),
            phase: Some(String::new()),
            current_step: Some(String::new()),
            log_group: Some(String::new()),
            log_stream: Some(String::new()),
            created_at: at,
            started_at: Some(at),
            updated_at: at.after(Duration::from_secs(10)),
            completed_at: Some(at),
            duration_ms: Some(1),
            usual_duration_ms: Some(60_000),
            metadata: Some(serde_json::Map::new()),
        }
    }

    #[test]
    fn schemas_have_the_fields_that_records_have() {
        let renderer = Renderer::new(Duration::from_secs(900));
        let task = full_task();
        let least = model::Task {
            priority: None,
            parts: std::collections::BTreeMap::new(),
            project_id: None,
            message: None,
            phase: None,
            current_step: None,
            log_group: None,
            log_stream: None,
            started_at: None,
            completed_at: None,
            duration_ms: None,
            usual_duration_ms: None,
            metadata: None,
            ..task.clone()
        };
        let now = task.updated_at;
        check(
            "Task",
            renderer.view(&task, now),
            renderer.view(&least, now),
        );
        let part = &task.parts["b"];
        let least = model::Part {
            started_at: None,
            completed_at: None,
            ..part.clone()
        };
        check("Part", part, least);
        check("Progress", task.progress, task.progress);
        let entry = model::HistoryEntry {
            timestamp: now,
            run: String::new(),
            revision: model::Revision(1),
            status: model::TaskStatus::Failed,
            progress: model::Progress::default(),
            phase: Some(String::new()),
            message: Some(String::new()),
        };
        let least = model::HistoryEntry {
            phase: None,
            message: None,
            ..entry.clone()
        };
        check("HistoryEntry", entry, least);
        let project = model::Project {
            project_id: "p".parse().unwrap(),
            project_name: String::new(),
            description: Some(String::new()),
            status: model::ProjectStatus::Active,
            owner: Some(String::new()),
            match_prefixes: vec![String::new()],
            revision: model::Revision(1),
            metrics: model::Metrics::default(),
            created_at: now,
            updated_at: now,
        };
        let least = model::Project {
            description: None,
            owner: None,
            match_prefixes: Vec::new(),
            ..project.clone()
        };
        check("Metrics", project.metrics, project.metrics);
        check("Project", project, least);
    }

    #[test]
    fn enumerations_have_all_values() {
        let document = document();
        let check = |schema: &str, expected: &[&str]| {
            let values = &document["components"]["schemas"][schema]["enum"];
            assert_eq!(*values, json!(expected), "{schema}");
        };
        let names = model::TaskStatus::ALL.iter().map(|value| value.as_str());
        check("TaskStatus", &names.collect::<Vec<_>>());
        let names = model::TaskType::ALL.iter().map(|value| value.as_str());
        check("TaskType", &names.collect::<Vec<_>>());
        let names = model::Priority::ALL.iter().map(|value| value.as_str());
        check("Priority", &names.collect::<Vec<_>>());
        let names = model::ProjectStatus::ALL.iter().map(|value| value.as_str());
        check("ProjectStatus", &names.collect::<Vec<_>>());
    }
}
