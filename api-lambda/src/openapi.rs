//! Generates the OpenAPI 3.1 document of the API. This code is compiled only for tests.
//!
//! The function serves the file `openapi.json`. The tests below compare the file with the handlers,
//! the document with the router, and the schemas with the records of `shared::model`.
//!
//! An attribute of each handler describes its parameters, its body, its responses and its problems.
//! `common_parts` adds what the middleware adds to every route: authentication, headers and common
//! problems.

mod common_parts;
pub(crate) mod parameters;
pub(crate) mod schemas;
pub(crate) mod text_schema;

use serde_json::{Value, json};
use shared::log_parser::LogFormat;
use utoipa::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};

use self::schemas::{Moment, Problem, RecordId};
use crate::routes;

/// The command that updates the file.
const REGENERATE: &str = "UPDATE_OPENAPI=1 cargo test -p api-lambda --lib openapi";

const DESCRIPTION: &str = "Tasks with live progress, from the output of `cdk deploy` and of automation agents.\n\n\
    Errors are problem documents (RFC 9457); `docs/problems.md` lists their types. Reads have an `ETag` and answer \
    304 if `If-None-Match` has the same tag. Every path that supports GET supports HEAD. The answer to an unsupported \
    method is 405, with `Allow`. The API requires a bearer token (JWT), unless it runs with `AUTH_MODE=none`.";

const TOKEN: &str = "A JWT that is signed with a configured key. The claim `scope` or `scp` has the scopes: \
    `progress:read` for GET and HEAD, `progress:logs` for the lines of a log, `progress:write` for all other methods.";

#[derive(OpenApi)]
#[openapi(
    tags(
        (name = "tasks", description = "Runs of deploys and of agents"),
        (name = "projects", description = "Groups of tasks"),
        (name = "service", description = "The API itself"),
    ),
    components(schemas(Problem, Moment, RecordId)),
)]
struct Document;

/// The document.
fn document() -> Value {
    let mut document = Document::openapi();
    for description in routes::descriptions() {
        document.merge(description);
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
        "description": format!("{DESCRIPTION}\n\n{}", ids_from_logs()),
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    });
    // Relative to the address of the document, which keeps a stage in the path.
    document["servers"] = json!([{"url": "."}]);
    common_parts::add_to(&mut document);
    document
}

/// How the ids of tasks begin that logs report.
fn ids_from_logs() -> String {
    let formats = LogFormat::ALL.map(|format| {
        let (id, title, task_type) = (format.id, format.title, format.task_type);
        format!(
            "`{id}:<log stream>` is a task of type `{task_type}` from a log of the format {title}"
        )
    });
    format!("Ids of tasks from logs: {}.", formats.join("; "))
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
    fn the_committed_document_is_up_to_date() {
        let generated = serde_json::to_string_pretty(&document()).unwrap() + "\n";
        if std::env::var_os("UPDATE_OPENAPI").is_some() {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
            fs::write(path, &generated).unwrap();
        } else {
            let is_same = generated.as_bytes() == routes::docs::OPENAPI;
            assert!(is_same, "openapi.json is out of date: {REGENERATE}");
        }
    }

    #[test]
    fn every_reference_has_a_target() {
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

    /// The path with values for its parameters.
    fn with_values(path: &str) -> String {
        let segments = path.split('/');
        let segments = segments.map(|segment| match segment.starts_with('{') {
            true => "a",
            false => segment,
        });
        segments.collect::<Vec<_>>().join("/")
    }

    fn api() -> axum::Router {
        let store = Arc::new(InMemoryStore::new());
        let state = ApiState::new(store.clone(), store, None, Duration::from_secs(1));
        router(state, Auth::none(), Cors::default())
    }

    /// The methods that the router supports at `path`.
    async fn supported(path: &str) -> BTreeSet<String> {
        let mut supported = BTreeSet::new();
        for method in METHODS {
            let name = method.to_uppercase();
            let request = Request::builder()
                .method(name.as_str())
                .uri(with_values(path));
            let request = request.body(Body::empty()).unwrap();
            let response = api().oneshot(request).await.unwrap();
            // Every path supports OPTIONS; the document does not mention it.
            if method != "options" && response.status() != StatusCode::METHOD_NOT_ALLOWED {
                supported.insert(method.to_owned());
            }
        }
        supported
    }

    #[tokio::test]
    async fn the_router_supports_exactly_the_documented_methods() {
        let document = document();
        for (path, item) in document["paths"].as_object().unwrap() {
            let documented = METHODS
                .into_iter()
                .filter(|method| item[*method].is_object());
            let mut documented: BTreeSet<_> = documented.map(str::to_owned).collect();
            if documented.contains("get") {
                documented.insert("head".to_owned());
            }
            assert_eq!(supported(path).await, documented, "{path}");
        }
    }

    /// The paths of all routes. The router shows them only in its debug output.
    fn routed() -> BTreeSet<String> {
        let shown = format!("{:?}", crate::routes::all());
        let texts = shown.split('"').skip(1).step_by(2);
        let paths = texts.filter(|text| text.starts_with('/') && !text.contains("__private"));
        paths.map(str::to_owned).collect()
    }

    #[test]
    fn every_route_except_files_of_pages_is_documented() {
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

    /// Compares a schema with a record that has all fields, and with one that has only the required
    /// fields.
    fn check(schema: &str, full: impl Serialize, least: impl Serialize) {
        let document = document();
        let schema = &document["components"]["schemas"][schema];
        let names = |value: Value| -> BTreeSet<String> {
            value.as_object().unwrap().keys().cloned().collect()
        };
        let properties = names(schema["properties"].clone());
        assert_eq!(properties, names(serde_json::to_value(full).unwrap()));
        // A schema whose fields may all be absent has no list.
        let required = schema["required"].as_array().into_iter().flatten();
        let required: BTreeSet<_> = required
            .map(|name| name.as_str().unwrap().to_owned())
            .collect();
        assert_eq!(required, names(serde_json::to_value(least).unwrap()));
    }

    /// A task with all fields. There is no `..`, so a new field must be added here and to the
    /// schema.
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
            agent: Some(Box::new(full_agent())),
            context: Some(Box::new(full_context())),
            run: at,
            is_earlier: true,
            corrections: 1,
            is_assumed: true,
            revision: model::Revision(1),
            project_id: Some("p".parse().unwrap()),
            message: Some(String::new()),
            failure: Some(Box::new(model::Failure {
                cause: String::new(),
                resource: Some(String::new()),
                resource_type: Some(String::new()),
                part: Some(String::new()),
                context: vec![String::new()],
                at,
            })),
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

    fn full_context() -> model::Context {
        model::Context {
            actor: Some(String::new()),
            repository: Some(String::new()),
            commit: Some(String::new()),
            branch: Some(String::new()),
            pull_request: Some(String::new()),
            ci_url: Some(String::new()),
        }
    }

    fn full_agent() -> model::Agent {
        model::Agent {
            name: Some(String::new()),
            model: Some(String::new()),
            input_tokens: Some(1),
            output_tokens: Some(1),
            cached_tokens: Some(1),
            cost_micro_usd: Some(1),
            turns: Some(1),
            tool: Some(String::new()),
            waiting_for: Some(String::new()),
            todos: vec![model::TodoItem {
                text: String::new(),
                status: model::TodoStatus::Done,
            }],
        }
    }

    #[test]
    fn schemas_and_records_have_the_same_fields() {
        let renderer = Renderer::new(Duration::from_secs(900)).with_region(Some("eu-west-1"));
        let task = full_task();
        let least = model::Task {
            priority: None,
            parts: std::collections::BTreeMap::new(),
            agent: None,
            is_earlier: false,
            corrections: 0,
            is_assumed: false,
            context: None,
            project_id: None,
            message: None,
            failure: None,
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
            renderer.full_view(&task, now),
            renderer.full_view(&least, now),
        );
        let source = renderer.full_view(&task, now).source;
        check("Source", &source, &source);
        let part = &task.parts["b"];
        let least = model::Part {
            started_at: None,
            completed_at: None,
            ..part.clone()
        };
        check("Part", part, least);
        let failure = task.failure.as_deref().unwrap();
        check("Failure", failure, model::Failure::new(String::new(), now));
        check("Progress", task.progress, task.progress);
        let agent = full_agent();
        check("TodoItem", &agent.todos[0], &agent.todos[0]);
        check("Agent", agent, model::Agent::default());
        let entry = model::HistoryEntry {
            timestamp: now,
            run: now,
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
    fn enumerations_list_all_values() {
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
