//! No request causes a 5xx.

use axum::body::Body;
use axum::http::{Method, Request, Uri};
use proptest::prelude::*;
use tokio::runtime::Builder;

use crate::harness::{ApiResponse, Harness};

fn send(request: Request<Body>) -> ApiResponse {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(Harness::new().send(request))
}

/// Percent-encodes all bytes, for a path or a query.
fn encoded(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("%{byte:02X}")).collect()
}

fn check_get(path: &str) -> Result<(), TestCaseError> {
    let Ok(uri) = path.parse::<Uri>() else {
        return Ok(()); // no HTTP server accepts this path
    };
    let request = Request::get(uri).body(Body::empty()).unwrap();
    let response = send(request);
    prop_assert!(response.status.as_u16() < 500, "{path}: {response:?}");
    if !response.status.is_success() {
        response.problem();
    }
    Ok(())
}

fn any_list() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "/api/tasks",
        "/api/tasks/a/history",
        "/api/tasks/a/runs",
        "/api/projects",
        "/api/projects/a/tasks",
    ])
}

proptest! {
    #[test]
    fn any_cursor_is_handled(list in any_list(), bytes in any::<Vec<u8>>()) {
        check_get(&format!("{list}?cursor={}", encoded(&bytes)))?;
    }

    #[test]
    fn any_json_in_a_cursor_is_handled(list in any_list(), version in 0_u8..3, time: i64, id in ".{0,9}") {
        use base64::Engine as _;
        let cursor_filter = "tasks?status=&task_type=&project_id=";
        let json = serde_json::json!({"v": version, "s": cursor_filter, "t": time, "id": id}).to_string();
        let cursor = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(json);
        check_get(&format!("{list}?cursor={cursor}"))?;
    }

    #[test]
    fn any_query_is_handled(list in any_list(), query in "[!-~]{0,80}", bytes in any::<Vec<u8>>()) {
        check_get(&format!("{list}?{query}"))?;
        for name in ["status", "limit", "from", "to", "project_id"] {
            check_get(&format!("{list}?{name}={}", encoded(&bytes)))?;
        }
    }

    #[test]
    fn any_path_is_handled(path in "[!-~]{0,80}", bytes in any::<Vec<u8>>()) {
        check_get(&format!("/{path}"))?;
        check_get(&format!("/api/tasks/{}", encoded(&bytes)))?;
    }

    #[test]
    fn any_body_is_handled(
        path in prop::sample::select(vec!["/api/tasks", "/api/projects"]),
        body in prop_oneof![
            any::<Vec<u8>>(),
            r#"\{"(task_name|task_type|progress|match)":[\[\]{}":,0-9a-z]{0,30}\}"#.prop_map(String::into_bytes),
        ],
    ) {
        let request = Request::builder().method(Method::POST).uri(path);
        let request = request.header("content-type", "application/json");
        let response = send(request.body(Body::from(body)).unwrap());
        prop_assert!(response.status.as_u16() < 500, "{response:?}");
    }

    #[test]
    fn any_progress_is_handled(current: u64, total: u64, percentage in 0_u8..=100, status in 0_usize..6) {
        let status = shared::model::TaskStatus::ALL[status];
        let body = serde_json::json!({
            "task_name": "x", "task_type": "other", "status": status,
            "progress": {"current": current, "total": total, "percentage": percentage},
        });
        let request = Request::post("/api/tasks").header("content-type", "application/json");
        let response = send(request.body(Body::from(body.to_string())).unwrap());
        prop_assert_eq!(response.status.as_u16(), 201);
        let shown = &response.json()["progress"]["percentage"];
        let shown = shown.as_u64().unwrap();
        let is_completed = status == shared::model::TaskStatus::Completed;
        prop_assert_eq!(shown == 100, is_completed);
    }
}
