use api_lambda::Auth;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use shared::config::Settings;

use crate::harness::Harness;

/// The page and its files.
const PAGE: [(&str, &str); 3] = [
    ("/docs", "text/html; charset=utf-8"),
    ("/docs/docs.css", "text/css; charset=utf-8"),
    ("/docs/docs.js", "text/javascript; charset=utf-8"),
];

fn with_tokens() -> Auth {
    let secret = "0123456789abcdef0123456789abcdef";
    let lookup = |name: &str| (name == "AUTH_HS256_SECRET").then(|| secret.to_owned());
    Auth::from_settings(&Settings::new(&lookup)).unwrap()
}

#[tokio::test]
async fn the_documentation_is_open_to_everyone() {
    let harness = Harness::guarded(with_tokens());
    let document = harness.read("/openapi.json").await;
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["paths"]["/api/tasks"]["post"].is_object());
    assert_eq!(harness.get("/api/tasks").await.status, 401);
    for (path, content_type) in PAGE {
        let response = harness.get(path).await;
        assert_eq!(response.status, StatusCode::OK, "{path}");
        assert_eq!(response.header("content-type"), content_type);
        let head = harness.call(Method::HEAD, path).await;
        assert_eq!(head.status, StatusCode::OK);
        assert_eq!(head.header("etag"), response.header("etag"));
    }
}

#[tokio::test]
async fn unchanged_documentation_is_not_sent_again() {
    let harness = Harness::new();
    for path in ["/openapi.json", "/docs", "/docs/docs.js"] {
        let first = harness.get(path).await;
        assert_eq!(
            first.header("cache-control"),
            "private, max-age=0, must-revalidate"
        );
        let again = Request::get(path).header("if-none-match", first.header("etag"));
        let again = harness.send(again.body(Body::empty()).unwrap()).await;
        assert_eq!(again.status, StatusCode::NOT_MODIFIED, "{path}");
        assert!(again.body.is_empty());
    }
    let unknown = harness.get("/docs/nothing.js").await;
    assert_eq!(unknown.problem(), "unknown-path");
}

#[tokio::test]
async fn the_page_loads_only_its_own_files() {
    let harness = Harness::new();
    let page = harness.get("/docs").await;
    let policy = page.header("content-security-policy").to_owned();
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"));
    assert!(!policy.contains("unsafe") && !policy.contains("http") && !policy.contains('*'));
    let mut size = 0;
    for (path, _) in PAGE {
        let response = harness.get(path).await;
        let text = String::from_utf8(response.body).unwrap();
        for host in ["http://", "https://", "\"//", "@import", " url("] {
            assert!(!text.contains(host), "{path}: {host}");
        }
        for markup in [
            "innerHTML",
            "outerHTML",
            "insertAdjacent",
            "document.write",
            "eval(",
        ] {
            assert!(!text.contains(markup), "{path}: {markup}");
        }
        size += text.len();
    }
    let html = String::from_utf8(page.body).unwrap();
    for inline in ["<style", "style=", " onclick", " onload", "<script>"] {
        assert!(!html.contains(inline), "{inline}");
    }
    assert!(size < 16 * 1024, "{size}");
}
