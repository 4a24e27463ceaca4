//! Events for the functions, as API Gateway and the scheduler send them.

use serde_json::{Value, json};

/// A request of an HTTP API.
pub fn request(method: &str, path: &str, query: &str, body: Option<&str>) -> Vec<u8> {
    let template = include_str!("../../../events/api/http-v2/get-task.json");
    let mut event: Value = serde_json::from_str(template).unwrap_or_default();
    event["rawPath"] = json!(path);
    event["rawQueryString"] = json!(query);
    event["requestContext"]["http"]["method"] = json!(method);
    event["requestContext"]["http"]["path"] = json!(path);
    let parameters: serde_json::Map<_, _> = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), json!(value)))
        .collect();
    if !parameters.is_empty() {
        event["queryStringParameters"] = Value::Object(parameters);
    }
    if let Some(body) = body {
        event["body"] = json!(body);
        event["headers"]["content-type"] = json!("application/json");
    }
    event.to_string().into_bytes()
}

/// `GET` of a path.
pub fn get(path: &str) -> Vec<u8> {
    request("GET", path, "", None)
}

/// `POST /api/logs` with these parameters, type of content, and lines.
pub fn post_lines(query: &str, content_type: &str, lines: &str) -> Vec<u8> {
    let event = request("POST", "/api/logs", query, Some(lines));
    let mut event: Value = serde_json::from_slice(&event).unwrap_or_default();
    event["headers"]["content-type"] = json!(content_type);
    event.to_string().into_bytes()
}

/// `POST /api/tasks` with a new task id.
pub fn post_task(task_id: &str) -> Vec<u8> {
    let task = json!({
        "task_id": task_id,
        "task_name": "Shop",
        "task_type": "cdk_deploy",
        "status": "running",
        "progress": {"current": 5, "total": 29},
    });
    request("POST", "/api/tasks", "", Some(&task.to_string()))
}

/// The event that the scheduler sends to the collector.
pub fn sweep() -> Vec<u8> {
    include_bytes!("../../../events/collector/scheduler.json").to_vec()
}

/// The HTTP status in a function's answer; 0 if there is none.
pub fn status(answer: &[u8]) -> u64 {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    answer["statusCode"].as_u64().unwrap_or_default()
}
