//! The files of the dashboard, as a browser requests them. `assets/tests` runs them in a browser.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};

use crate::harness::{ApiResponse, Harness};

/// The addresses of the page's style and script.
fn files(page: &ApiResponse) -> Vec<String> {
    let html = std::str::from_utf8(&page.body).unwrap();
    let quoted = html.split('"').filter(|text| text.contains("assets/"));
    quoted.map(|address| format!("/{address}")).collect()
}

#[tokio::test]
async fn the_policy_of_the_page_allows_only_its_own_files() {
    let page = Harness::new().get("/").await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(page.header("cache-control"), "no-cache");
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    let html = String::from_utf8(page.body).unwrap();
    for inline in ["<style", " style=", " onclick=", " onload="] {
        assert!(!html.contains(inline), "the policy forbids {inline}");
    }
}

#[tokio::test]
async fn an_unchanged_page_is_not_sent_again() {
    let harness = Harness::new();
    let tag = harness.get("/").await.header("etag").to_owned();
    let request = Request::get("/?status=failed").header("if-none-match", &tag);
    let response = harness.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(response.status, StatusCode::NOT_MODIFIED);
    assert_eq!(response.header("etag"), tag);
    assert!(response.body.is_empty());
}

#[tokio::test]
async fn its_files_can_be_stored_forever_and_are_compressed() {
    let harness = Harness::new();
    let files = files(&harness.get("/").await);
    assert_eq!(files.len(), 2, "{files:?}");
    for file in files {
        let plain = harness.get(&file).await;
        assert_eq!(plain.status, StatusCode::OK, "{file}");
        let keep = "public, max-age=31536000, immutable";
        assert_eq!(plain.header("cache-control"), keep);
        assert_eq!(plain.header("content-encoding"), "");
        let request = Request::get(&file).header("accept-encoding", "br, gzip");
        let packed = harness.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(packed.header("content-encoding"), "gzip");
        assert_eq!(packed.header("vary"), "accept-encoding");
        assert_eq!(packed.header("content-type"), plain.header("content-type"));
        let mut unpacked = Vec::new();
        std::io::Read::read_to_end(
            &mut flate2::read::GzDecoder::new(&*packed.body),
            &mut unpacked,
        )
        .unwrap();
        assert_eq!(unpacked, plain.body);
    }
}

#[tokio::test]
async fn a_file_of_another_version_is_not_found() {
    let harness = Harness::new();
    for path in [
        "/assets/dashboard.js",
        "/assets/",
        "/assets/..%2findex.html",
    ] {
        let response = harness.get(path).await;
        assert_eq!(response.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(response.problem(), "unknown-path");
    }
    let response = harness.call(Method::POST, "/").await;
    assert_eq!(response.status, StatusCode::METHOD_NOT_ALLOWED);
}
