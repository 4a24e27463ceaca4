//! The parts of the document that the middleware adds to every operation: authentication, headers
//! and problems.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::problem::Kind;

/// The member in which a handler lists the names of its problems. The document does not have it.
const PROBLEMS: &str = "x-problems";
/// The problems of every operation that needs a token.
const GUARDED: [Kind; 2] = [Kind::Unauthenticated, Kind::InsufficientScope];
/// The problems of every operation.
const ANY: [Kind; 1] = [Kind::Internal];

/// Adds all common parts.
pub(super) fn add_to(document: &mut Value) {
    without_formats(document);
    document["components"]["headers"] = headers();
    let mut problems = Map::new();
    let paths = document["paths"].as_object_mut().unwrap();
    for (path, item) in paths {
        for operation in item.as_object_mut().unwrap().values_mut() {
            if let Some(operation) = operation.as_object_mut() {
                complete(path, operation, &mut problems);
            }
        }
    }
    document["components"]["responses"] = problems.into();
}

/// Removes the formats of integers, because the schemas give minimum and maximum.
fn without_formats(value: &mut Value) {
    match value {
        Value::Object(members) => {
            let format = members.get("format").and_then(Value::as_str);
            if format.is_some_and(|format| format.starts_with("int")) {
                members.remove("format");
            }
            members.values_mut().for_each(without_formats);
        }
        Value::Array(values) => values.iter_mut().for_each(without_formats),
        _ => {}
    }
}

fn complete(path: &str, operation: &mut Map<String, Value>, problems: &mut Map<String, Value>) {
    let own = operation.remove(PROBLEMS).unwrap_or_default();
    let own_names = own.as_array().cloned().unwrap_or_default();
    let own_kinds = own_names.iter().map(|name| kind(name.as_str().unwrap()));
    let is_guarded = operation.contains_key("security");
    let guarded = GUARDED.into_iter().filter(|_| is_guarded);
    let mut kinds: BTreeMap<String, Vec<Kind>> = BTreeMap::new();
    for kind in own_kinds.chain(guarded).chain(ANY) {
        let status = kind.parts().0.as_str().to_owned();
        kinds.entry(status).or_default().push(kind);
    }
    if !is_guarded {
        operation.insert("security".to_owned(), json!([]));
    }
    let takes_tags = has_parameter(operation, "If-None-Match");
    let responses = operation["responses"].as_object_mut().unwrap();
    if takes_tags {
        let description = "The client has the present state";
        responses.insert("304".to_owned(), json!({"description": description}));
    }
    // A 204 beside a body is what a caller gets who may not read the body.
    let has_body = ["200", "201"].iter().any(|it| responses.contains_key(*it));
    for (status, response) in responses.iter_mut() {
        let is_read_or_written = takes_tags || path.starts_with("/api/");
        let mut names = vec!["X-Request-Id", "Cache-Control", "Server-Timing"];
        names.extend((is_read_or_written && has_body).then_some("ETag"));
        names.extend((status == "201" || status == "204" && has_body).then_some("Location"));
        add_headers(response, &names);
    }
    for (status, kinds) in kinds {
        let (name, response) = problem(&kinds);
        let reference = json!({"$ref": format!("#/components/responses/{name}")});
        responses.insert(status, reference);
        problems.insert(name, response);
    }
}

/// The name and the response for several problems with the same status.
fn problem(kinds: &[Kind]) -> (String, Value) {
    let names = kinds.iter().map(|kind| kind.parts().1);
    let types: Vec<_> = names
        .clone()
        .map(|name| format!("/problems/{name}"))
        .collect();
    let described = kinds.iter().map(|kind| {
        let (_, name, title) = kind.parts();
        format!("{title} (`/problems/{name}`)")
    });
    let mut properties = json!({"type": {"enum": types}});
    if kinds.contains(&Kind::NotReady) {
        for part in ["dynamodb", "redis"] {
            properties[part] = json!({"$ref": "#/components/schemas/PartHealth"});
        }
    }
    let schema = json!({"allOf": [
        {"$ref": "#/components/schemas/Problem"},
        {"properties": properties},
    ]});
    let mut response = json!({
        "description": described.collect::<Vec<_>>().join(", or: "),
        "content": {"application/problem+json": {"schema": schema}},
    });
    let mut headers = vec!["X-Request-Id", "Cache-Control", "Server-Timing"];
    headers.extend(kinds.iter().find_map(|kind| match kind.parts().0.as_u16() {
        401 | 403 => Some("WWW-Authenticate"),
        503 => Some("Retry-After"),
        _ => None,
    }));
    add_headers(&mut response, &headers);
    (names.collect::<Vec<_>>().join("."), response)
}

fn add_headers(response: &mut Value, names: &[&str]) {
    for name in names {
        response["headers"][name] = json!({"$ref": format!("#/components/headers/{name}")});
    }
}

fn kind(name: &str) -> Kind {
    let found = Kind::ALL.iter().find(|kind| kind.parts().1 == name);
    *found.unwrap_or_else(|| panic!("no kind of problem is named {name}"))
}

fn has_parameter(operation: &Map<String, Value>, name: &str) -> bool {
    let parameters = operation.get("parameters").and_then(Value::as_array);
    parameters.is_some_and(|all| all.iter().any(|parameter| parameter["name"] == name))
}

/// The headers of responses.
fn headers() -> Value {
    let text = |description: &str, is_always: bool, pattern: &str| {
        json!({
            "description": description,
            "required": is_always,
            "schema": {"type": "string", "pattern": pattern},
        })
    };
    json!({
        "X-Request-Id": text("The id of the request. Logs and problems have the same id", true, "^[A-Za-z0-9-]+$"),
        "Cache-Control": text("Whether and how long the response can be stored", true, "^[a-z0-9=, -]+$"),
        "ETag": text(
            "Changes whenever the response changes. The tag of a task or a project starts with its revision, and can be \
             used in `If-Match`. The tag of a compressed response is weak",
            true,
            r#"^(W/)?"[0-9a-z-]+"$"#,
        ),
        "Location": text("The path of what was written, including the stage", true, "^/.+$"),
        "Retry-After": {
            "description": "The number of seconds to wait before another attempt",
            "required": true,
            "schema": {"type": "integer", "minimum": 1},
        },
        "WWW-Authenticate": text("Why the token was refused (RFC 6750)", true, "^Bearer realm=.+$"),
        "Server-Timing": text(
            "The milliseconds that the request waited for the cache and for the store",
            false,
            r"^(cache|store);dur=\d+\.\d\d(, store;dur=\d+\.\d\d)?$",
        ),
    })
}
