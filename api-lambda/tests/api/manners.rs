//! Entity tags, repetitions, compression, other origins, and what else HTTP is polite about.

use api_lambda::{ApiState, Auth, Cors, router};
use axum::http::{Method, Request, StatusCode};
use serde_json::json;
use shared::config::Settings;

use crate::world::{Answer, STALE_AFTER, World, ids, task};

async fn get_unless(world: &World, path: &str, tag: &str) -> Answer {
    let request = Request::get(path).header("if-none-match", tag);
    world.send(request.body("".into()).unwrap()).await
}

#[tokio::test]
async fn every_read_has_a_tag_and_is_not_sent_again() {
    for world in [World::new(), World::with_cache(None)] {
        world.save(&task("a", 1)).await;
        let project = json!({"project_id": "p", "project_name": "P"});
        world.make("/api/projects", project).await;
        for path in [
            "/api/tasks",
            "/api/tasks?status=pending&limit=1",
            "/api/tasks/a",
            "/api/tasks/a/history",
            "/api/projects",
            "/api/projects/p",
            "/api/projects/p/tasks",
        ] {
            let first = world.get(path).await;
            let tag = first.header("etag").to_owned();
            assert!(tag.starts_with('"') && tag.len() > 10, "{path}: {tag}");
            for tag in [&tag, &format!("\"x\", W/{tag}"), "*"] {
                let again = get_unless(&world, path, tag).await;
                assert_eq!(again.status, StatusCode::NOT_MODIFIED, "{path} {tag}");
                assert!(again.body.is_empty());
                assert_eq!(again.header("etag"), first.header("etag"));
                assert_eq!(again.header("cache-control"), first.header("cache-control"));
            }
            let other = get_unless(&world, path, "\"x\"").await;
            assert_eq!(other.body, first.body);
        }
    }
}

#[tokio::test]
async fn a_tag_changes_with_what_it_stands_for() {
    let world = World::new();
    let body = json!({"task_id": "a", "task_name": "x", "task_type": "build"});
    let made = world.post("/api/tasks", body.to_string()).await;
    let task_tag = world.get("/api/tasks/a").await.header("etag").to_owned();
    assert_eq!(made.header("etag"), task_tag);
    let list_tag = world.get("/api/tasks").await.header("etag").to_owned();
    let request = Request::patch("/api/tasks/a").header("content-type", "application/json");
    let body = json!({"message": "new"}).to_string();
    world.send(request.body(body.into()).unwrap()).await;
    for (path, tag) in [("/api/tasks/a", task_tag), ("/api/tasks", list_tag)] {
        let answer = get_unless(&world, path, &tag).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert_ne!(answer.header("etag"), tag);
    }
}

async fn post_once(world: &World, key: &str, body: serde_json::Value) -> Answer {
    let request = Request::post("/api/tasks")
        .header("content-type", "application/json")
        .header("idempotency-key", key);
    let body = body.to_string();
    world.send(request.body(body.into()).unwrap()).await
}

#[tokio::test]
async fn a_repeated_request_makes_one_task() {
    let world = World::new();
    let body = || json!({"task_name": "Build", "task_type": "build"});
    let first = post_once(&world, "key-1", body()).await;
    assert_eq!(first.status, StatusCode::CREATED, "{first:?}");
    let again = post_once(&world, "key-1", body()).await;
    assert_eq!(again.status, StatusCode::CREATED);
    assert_eq!(again.body, first.body);
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(again.header("etag"), first.header("etag"));
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(first.header("idempotency-replayed"), "");
    assert_eq!(world.stored().await.len(), 1);
    let other = post_once(&world, "key-2", body()).await;
    assert_ne!(other.body, first.body);
    let misused = json!({"task_name": "Another", "task_type": "build"});
    let refused = post_once(&world, "key-1", misused).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(refused.problem(), "idempotency-key-reused");
    assert_eq!(world.stored().await.len(), 2);
}

#[tokio::test]
async fn a_repeated_request_with_an_id_is_no_conflict() {
    let world = World::new();
    let body = json!({"task_id": "a", "task_name": "Build", "task_type": "build"});
    let first = post_once(&world, "key", body.clone()).await;
    let again = post_once(&world, "key", body.clone()).await;
    assert_eq!((again.status, again.body), (first.status, first.body));
    let other = post_once(&world, "other", body).await;
    assert_eq!(other.problem(), "task-exists");
}

#[tokio::test]
async fn a_key_is_short_and_plain() {
    let world = World::new();
    for key in ["", &"x".repeat(256), "\u{e4}"] {
        let body = json!({"task_name": "Build", "task_type": "build"});
        let answer = post_once(&world, key, body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{key}");
        assert_eq!(answer.fields(), ["Idempotency-Key"]);
    }
    assert_eq!(world.stored().await.len(), 0);
}

#[tokio::test]
async fn large_answers_are_compressed_for_those_who_take_it() {
    let world = World::new();
    for number in 0..20 {
        world.save(&task(&format!("task-{number}"), number)).await;
    }
    let plain = world.get("/api/tasks").await;
    assert!(plain.body.len() > 1024 && plain.header("content-encoding").is_empty());
    for encoding in ["gzip", "br"] {
        let get = |path: &str| Request::get(path.to_owned()).header("accept-encoding", encoding);
        let answer = world.send(get("/api/tasks").body("".into()).unwrap()).await;
        assert_eq!(answer.header("content-encoding"), encoding);
        assert!(answer.body.len() < plain.body.len() / 2, "{encoding}");
        assert!(answer.header("vary").contains("accept-encoding"));
        // Other bytes under the same tag: it is a weak one, and is known all the same.
        let tag = answer.header("etag");
        assert_eq!(tag, format!("W/{}", plain.header("etag")));
        let known = get_unless(&world, "/api/tasks", tag).await;
        assert_eq!(known.status, StatusCode::NOT_MODIFIED);
        let small = world.send(get("/health").body("".into()).unwrap()).await;
        assert_eq!(small.header("content-encoding"), "");
    }
}

#[tokio::test]
async fn an_answer_says_how_long_it_waited_for_what() {
    let world = World::new();
    world.save(&task("a", 1)).await;
    let missed = world.get("/api/tasks/a").await;
    let timing = missed.header("server-timing");
    assert!(
        timing.starts_with("cache;dur=") && timing.contains(", store;dur="),
        "{timing}"
    );
    let hit = world.get("/api/tasks/a").await;
    assert!(!hit.header("server-timing").contains("store"));
    assert_eq!(world.get("/health").await.header("server-timing"), "");
}

#[tokio::test]
async fn no_browser_takes_an_answer_for_something_else() {
    let world = World::new();
    for path in ["/api/tasks", "/api/tasks/none", "/nowhere"] {
        let answer = world.get(path).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert!(
            answer
                .header("content-security-policy")
                .starts_with("default-src 'none'")
        );
        assert!(!answer.header("strict-transport-security").is_empty());
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
    }
}

#[tokio::test]
async fn a_path_says_which_methods_it_takes() {
    let world = World::new();
    for (path, allowed) in [
        ("/api/tasks", "GET,HEAD,POST"),
        ("/api/tasks/a", "GET,HEAD,PATCH,DELETE"),
        ("/api/tasks/a/history", "GET,HEAD"),
        ("/api/projects/a", "GET,HEAD,PATCH"),
        ("/health", "GET,HEAD"),
    ] {
        let options = world.call(Method::OPTIONS, path).await;
        assert_eq!(options.status, StatusCode::NO_CONTENT, "{path}");
        let refused = world.call(Method::PUT, path).await;
        assert_eq!(refused.problem(), "method-not-allowed");
        for answer in [options, refused] {
            let mut methods: Vec<_> = answer.header("allow").split(',').collect();
            let mut expected: Vec<_> = allowed.split(',').collect();
            methods.sort_unstable();
            expected.sort_unstable();
            assert_eq!(methods, expected, "{path}");
        }
    }
    let nowhere = world.call(Method::OPTIONS, "/nowhere").await;
    assert_eq!(nowhere.problem(), "unknown-path");
}

fn with_cors(origins: &'static str) -> World {
    let mut world = World::new();
    let lookup = move |name: &str| (name == "CORS_ALLOWED_ORIGINS").then(|| origins.to_owned());
    let cors = Cors::from_settings(&Settings::new(&lookup)).unwrap();
    let store = world.store.clone();
    let state = ApiState::new(store.clone(), store, None, STALE_AFTER);
    world.router = router(state, Auth::none(), cors);
    world
}

#[tokio::test]
async fn pages_of_other_origins_are_let_in_by_name() {
    let get_from = async |world: &World, origin: &str| {
        let request = Request::get("/api/tasks").header("origin", origin);
        let answer = world.send(request.body("".into()).unwrap()).await;
        answer.header("access-control-allow-origin").to_owned()
    };
    let named = with_cors("https://a.example,https://b.example");
    assert_eq!(
        get_from(&named, "https://b.example").await,
        "https://b.example"
    );
    assert_eq!(get_from(&named, "https://evil.example").await, "");
    assert_eq!(get_from(&with_cors("*"), "https://any.example").await, "*");
    assert_eq!(get_from(&World::new(), "https://a.example").await, "");

    let preflight = Request::options("/api/tasks/a")
        .header("origin", "https://a.example")
        .header("access-control-request-method", "PATCH")
        .header("access-control-request-headers", "if-match,content-type");
    let answer = named.send(preflight.body("".into()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(
        answer
            .header("access-control-allow-methods")
            .contains("PATCH")
    );
    assert!(
        answer
            .header("access-control-allow-headers")
            .contains("if-match")
    );
    assert!(answer.header("vary").contains("origin"));
}

#[tokio::test]
async fn lists_are_narrowed_by_name_and_time() {
    let world = World::new();
    for (number, name) in ["Deploy Api", "deploy web", "Review", "DEPLOY \u{c4}pi"]
        .into_iter()
        .enumerate()
    {
        let number = i64::try_from(number).unwrap();
        let mut task = task(&format!("t{number}"), number);
        task.task_name = name.to_owned();
        world.save(&task).await;
    }
    let listed = async |query: &str| ids(&world.read(&format!("/api/tasks?{query}")).await);
    assert_eq!(listed("q=deploy").await, ["t3", "t1", "t0"]);
    assert_eq!(listed("q=Deploy%20%C3%A4").await, ["t3"]);
    assert_eq!(listed("q=eploy").await, [""; 0]);
    assert_eq!(listed("updated_after=1700000001000").await, ["t3", "t2"]);
    let after = "updated_after=2023-11-14T22:13:20.000Z&q=deploy";
    assert_eq!(listed(after).await, ["t3", "t1"]);
    let page = world.read("/api/tasks?q=deploy&limit=2").await;
    let cursor = page["next_cursor"].as_str().unwrap();
    assert_eq!(
        listed(&format!("q=deploy&limit=2&cursor={cursor}")).await,
        ["t0"]
    );
    let other = world
        .get(&format!("/api/tasks?q=review&cursor={cursor}"))
        .await;
    assert_eq!(other.fields(), ["cursor"]);
    for (query, field) in [
        ("q=", "q".to_owned()),
        ("updated_after=soon", "updated_after".to_owned()),
    ] {
        let refused = world.get(&format!("/api/tasks?{query}")).await;
        assert_eq!(
            (refused.problem().as_str(), refused.fields()),
            ("invalid-parameters", vec![field])
        );
    }
}
