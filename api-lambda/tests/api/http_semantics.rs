//! Entity tags, idempotency keys, compression, CORS, common headers and methods.

use api_lambda::{ApiState, Auth, Cors, router};
use axum::http::{Method, Request, StatusCode};
use serde_json::json;
use shared::config::Settings;

use crate::harness::{ApiResponse, Harness, STALE_AFTER, a_second, ids, task};

async fn get_unless(harness: &Harness, path: &str, tag: &str) -> ApiResponse {
    let request = Request::get(path).header("if-none-match", tag);
    harness.send(request.body("".into()).unwrap()).await
}

#[tokio::test]
async fn every_read_has_a_tag_and_answers_304_for_it() {
    for harness in [Harness::new(), Harness::with_cache(None)] {
        harness.save(&task("a", 1)).await;
        let project = json!({"project_id": "p", "project_name": "P"});
        harness.make("/api/projects", project).await;
        for path in [
            "/api/tasks",
            "/api/tasks?status=pending&limit=1",
            "/api/tasks/a",
            "/api/tasks/a/history",
            "/api/tasks/a/runs",
            "/api/projects",
            "/api/projects/p",
            "/api/projects/p/tasks",
            "/api/overview",
        ] {
            let first = harness.get(path).await;
            let tag = first.header("etag").to_owned();
            assert!(tag.starts_with('"') && tag.len() > 10, "{path}: {tag}");
            for tag in [&tag, &format!("\"x\", W/{tag}"), "*"] {
                let again = get_unless(&harness, path, tag).await;
                assert_eq!(again.status, StatusCode::NOT_MODIFIED, "{path} {tag}");
                assert!(again.body.is_empty());
                assert_eq!(again.header("etag"), first.header("etag"));
                assert_eq!(again.header("cache-control"), first.header("cache-control"));
            }
            let other = get_unless(&harness, path, "\"x\"").await;
            assert_eq!(other.body, first.body);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_tag_changes_with_the_response() {
    let harness = Harness::new();
    let body = json!({"task_id": "a", "task_name": "x", "task_type": "build"});
    let made = harness.post("/api/tasks", body.to_string()).await;
    let task_tag = harness.get("/api/tasks/a").await.header("etag").to_owned();
    assert_eq!(made.header("etag"), task_tag);
    let list_tag = harness.get("/api/tasks").await.header("etag").to_owned();
    let request = Request::patch("/api/tasks/a").header("content-type", "application/json");
    let body = json!({"message": "new"}).to_string();
    harness.send(request.body(body.into()).unwrap()).await;
    a_second().await;
    for (path, tag) in [("/api/tasks/a", task_tag), ("/api/tasks", list_tag)] {
        let response = get_unless(&harness, path, &tag).await;
        assert_eq!(response.status, StatusCode::OK, "{path}");
        assert_ne!(response.header("etag"), tag);
    }
}

async fn post_once(harness: &Harness, key: &str, body: serde_json::Value) -> ApiResponse {
    let request = Request::post("/api/tasks")
        .header("content-type", "application/json")
        .header("idempotency-key", key);
    let body = body.to_string();
    harness.send(request.body(body.into()).unwrap()).await
}

#[tokio::test]
async fn a_repeated_request_creates_one_task() {
    let harness = Harness::new();
    let body = || json!({"task_name": "Build", "task_type": "build"});
    let first = post_once(&harness, "key-1", body()).await;
    assert_eq!(first.status, StatusCode::CREATED, "{first:?}");
    let again = post_once(&harness, "key-1", body()).await;
    assert_eq!(again.status, StatusCode::CREATED);
    assert_eq!(again.body, first.body);
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(again.header("etag"), first.header("etag"));
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(first.header("idempotency-replayed"), "");
    assert_eq!(harness.stored().await.len(), 1);
    let other = post_once(&harness, "key-2", body()).await;
    assert_ne!(other.body, first.body);
    let misused = json!({"task_name": "Another", "task_type": "build"});
    let refused = post_once(&harness, "key-1", misused).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(refused.problem(), "idempotency-key-reused");
    assert_eq!(harness.stored().await.len(), 2);
}

#[tokio::test]
async fn a_repeated_request_with_a_task_id_is_not_a_conflict() {
    let harness = Harness::new();
    let body = json!({"task_id": "a", "task_name": "Build", "task_type": "build"});
    let first = post_once(&harness, "key", body.clone()).await;
    let again = post_once(&harness, "key", body.clone()).await;
    assert_eq!((again.status, again.body), (first.status, first.body));
    let other = post_once(&harness, "other", body).await;
    assert_eq!(other.problem(), "task-exists");
}

#[tokio::test]
async fn an_invalid_idempotency_key_is_refused() {
    let harness = Harness::new();
    for key in ["", &"x".repeat(256), "\u{e4}"] {
        let body = json!({"task_name": "Build", "task_type": "build"});
        let response = post_once(&harness, key, body).await;
        assert_eq!(response.status, StatusCode::BAD_REQUEST, "{key}");
        assert_eq!(response.fields(), ["Idempotency-Key"]);
    }
    assert_eq!(harness.stored().await.len(), 0);
}

#[tokio::test]
async fn large_responses_are_compressed_if_the_client_accepts_it() {
    let harness = Harness::new();
    for number in 0..20 {
        harness.save(&task(&format!("task-{number}"), number)).await;
    }
    let plain = harness.get("/api/tasks").await;
    assert!(plain.body.len() > 1024 && plain.header("content-encoding").is_empty());
    for encoding in ["gzip", "br"] {
        let get = |path: &str| Request::get(path.to_owned()).header("accept-encoding", encoding);
        let response = harness
            .send(get("/api/tasks").body("".into()).unwrap())
            .await;
        assert_eq!(response.header("content-encoding"), encoding);
        assert!(response.body.len() < plain.body.len() / 2, "{encoding}");
        assert!(response.header("vary").contains("accept-encoding"));
        // The compressed response has other bytes, so the tag is weak. It still matches.
        let tag = response.header("etag");
        assert_eq!(tag, format!("W/{}", plain.header("etag")));
        let known = get_unless(&harness, "/api/tasks", tag).await;
        assert_eq!(known.status, StatusCode::NOT_MODIFIED);
        let small = harness.send(get("/health").body("".into()).unwrap()).await;
        assert_eq!(small.header("content-encoding"), "");
    }
}

#[tokio::test]
async fn a_response_has_the_times_it_waited_for_cache_and_store() {
    let harness = Harness::new();
    harness.save(&task("a", 1)).await;
    let missed = harness.get("/api/tasks/a").await;
    let timing = missed.header("server-timing");
    assert!(
        timing.starts_with("cache;dur=") && timing.contains(", store;dur="),
        "{timing}"
    );
    let hit = harness.get("/api/tasks/a").await;
    assert!(!hit.header("server-timing").contains("store"));
    assert_eq!(harness.get("/health").await.header("server-timing"), "");
}

#[tokio::test]
async fn every_response_has_security_headers() {
    let harness = Harness::new();
    for path in ["/api/tasks", "/api/tasks/none", "/nowhere"] {
        let response = harness.get(path).await;
        assert_eq!(response.header("x-content-type-options"), "nosniff");
        assert!(
            response
                .header("content-security-policy")
                .starts_with("default-src 'none'")
        );
        assert!(!response.header("strict-transport-security").is_empty());
        assert_eq!(response.header("referrer-policy"), "no-referrer");
    }
}

#[tokio::test]
async fn every_path_lists_its_methods() {
    let harness = Harness::new();
    for (path, allowed) in [
        ("/api/tasks", "GET,HEAD,POST"),
        ("/api/tasks/a", "GET,HEAD,PATCH,DELETE"),
        ("/api/tasks/a/history", "GET,HEAD"),
        ("/api/tasks/a/runs", "GET,HEAD"),
        ("/api/projects/a", "GET,HEAD,PATCH"),
        ("/health", "GET,HEAD"),
    ] {
        let options = harness.call(Method::OPTIONS, path).await;
        assert_eq!(options.status, StatusCode::NO_CONTENT, "{path}");
        let refused = harness.call(Method::PUT, path).await;
        assert_eq!(refused.problem(), "method-not-allowed");
        for response in [options, refused] {
            let mut methods: Vec<_> = response.header("allow").split(',').collect();
            let mut expected: Vec<_> = allowed.split(',').collect();
            methods.sort_unstable();
            expected.sort_unstable();
            assert_eq!(methods, expected, "{path}");
        }
    }
    let nowhere = harness.call(Method::OPTIONS, "/nowhere").await;
    assert_eq!(nowhere.problem(), "unknown-path");
}

fn with_cors(origins: &'static str) -> Harness {
    let mut harness = Harness::new();
    let lookup = move |name: &str| (name == "CORS_ALLOWED_ORIGINS").then(|| origins.to_owned());
    let cors = Cors::from_settings(&Settings::new(&lookup)).unwrap();
    let store = harness.store.clone();
    let state = ApiState::new(store.clone(), store, None, STALE_AFTER);
    harness.router = router(state, Auth::none(), cors);
    harness
}

#[tokio::test]
async fn only_configured_origins_are_allowed() {
    let get_from = async |harness: &Harness, origin: &str| {
        let request = Request::get("/api/tasks").header("origin", origin);
        let response = harness.send(request.body("".into()).unwrap()).await;
        response.header("access-control-allow-origin").to_owned()
    };
    let named = with_cors("https://a.example,https://b.example");
    assert_eq!(
        get_from(&named, "https://b.example").await,
        "https://b.example"
    );
    assert_eq!(get_from(&named, "https://evil.example").await, "");
    assert_eq!(get_from(&with_cors("*"), "https://any.example").await, "*");
    assert_eq!(get_from(&Harness::new(), "https://a.example").await, "");

    let preflight = Request::options("/api/tasks/a")
        .header("origin", "https://a.example")
        .header("access-control-request-method", "PATCH")
        .header("access-control-request-headers", "if-match,content-type");
    let response = named.send(preflight.body("".into()).unwrap()).await;
    assert_eq!(response.status, StatusCode::OK);
    assert!(
        response
            .header("access-control-allow-methods")
            .contains("PATCH")
    );
    assert!(
        response
            .header("access-control-allow-headers")
            .contains("if-match")
    );
    assert!(response.header("vary").contains("origin"));
}

#[tokio::test]
async fn lists_can_be_filtered_by_name_and_time() {
    let harness = Harness::new();
    for (number, name) in ["Deploy Api", "deploy web", "Review", "DEPLOY \u{c4}pi"]
        .into_iter()
        .enumerate()
    {
        let number = i64::try_from(number).unwrap();
        let mut task = task(&format!("t{number}"), number);
        task.task_name = name.to_owned();
        harness.save(&task).await;
    }
    let listed = async |query: &str| ids(&harness.read(&format!("/api/tasks?{query}")).await);
    assert_eq!(listed("q=deploy").await, ["t3", "t1", "t0"]);
    assert_eq!(listed("q=Deploy%20%C3%A4").await, ["t3"]);
    assert_eq!(listed("q=eploy").await, ["t3", "t1", "t0"]);
    assert_eq!(listed("q=T2").await, ["t2"]);
    assert_eq!(listed("q=deploys").await, [""; 0]);
    assert_eq!(listed("from=1700000001000").await, ["t3", "t2", "t1"]);
    assert_eq!(listed("to=1700000001000").await, ["t0"]);
    let middle = "from=2023-11-14T22:13:21.000Z&to=2023-11-14T22:13:23.000Z";
    assert_eq!(listed(middle).await, ["t2", "t1"]);
    assert_eq!(listed(&format!("{middle}&q=deploy")).await, ["t1"]);
    let nothing = "from=1700000001000&to=1700000001000";
    assert_eq!(listed(nothing).await, [""; 0]);
    let page = harness.read("/api/tasks?q=deploy&limit=2").await;
    let cursor = page["next_cursor"].as_str().unwrap();
    assert_eq!(
        listed(&format!("q=deploy&limit=2&cursor={cursor}")).await,
        ["t0"]
    );
    let other = harness
        .get(&format!("/api/tasks?q=review&cursor={cursor}"))
        .await;
    assert_eq!(other.fields(), ["cursor"]);
    for (query, field) in [
        ("q=", "q".to_owned()),
        ("from=soon", "from".to_owned()),
        ("to=-1", "to".to_owned()),
        ("from=1700000001000&to=1700000000000", "to".to_owned()),
        ("updated_after=1700000001000", "updated_after".to_owned()),
    ] {
        for list in ["tasks", "projects/p/tasks"] {
            let refused = harness.get(&format!("/api/{list}?{query}")).await;
            assert_eq!(
                (refused.problem().as_str(), refused.fields()),
                ("invalid-parameters", vec![field.clone()])
            );
        }
    }
}
