//! The dashboard's files, as a browser asks for them. What they do is tested in a browser: `assets/tests`.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};

use crate::world::{Answer, World};

/// The addresses of the page's style and script.
fn files(page: &Answer) -> Vec<String> {
    let html = std::str::from_utf8(&page.body).unwrap();
    let quoted = html.split('"').filter(|text| text.contains("assets/"));
    quoted.map(|address| format!("/{address}")).collect()
}

#[tokio::test]
async fn the_page_may_run_its_own_files_alone() {
    let page = World::new().get("/").await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(page.header("cache-control"), "no-cache");
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    let html = String::from_utf8(page.body).unwrap();
    for inline in ["<style", " style=", " onclick=", " onload="] {
        assert!(!html.contains(inline), "{inline} would not be let in");
    }
}

#[tokio::test]
async fn a_page_that_is_known_is_not_sent_again() {
    let world = World::new();
    let tag = world.get("/").await.header("etag").to_owned();
    let request = Request::get("/?status=failed").header("if-none-match", &tag);
    let answer = world.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::NOT_MODIFIED);
    assert_eq!(answer.header("etag"), tag);
    assert!(answer.body.is_empty());
}

#[tokio::test]
async fn its_files_are_kept_for_ever_and_are_sent_compressed() {
    let world = World::new();
    let files = files(&world.get("/").await);
    assert_eq!(files.len(), 2, "{files:?}");
    for file in files {
        let plain = world.get(&file).await;
        assert_eq!(plain.status, StatusCode::OK, "{file}");
        let keep = "public, max-age=31536000, immutable";
        assert_eq!(plain.header("cache-control"), keep);
        assert_eq!(plain.header("content-encoding"), "");
        let request = Request::get(&file).header("accept-encoding", "br, gzip");
        let packed = world.send(request.body(Body::empty()).unwrap()).await;
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
async fn a_file_of_another_version_is_not_there() {
    let world = World::new();
    for path in [
        "/assets/dashboard.js",
        "/assets/",
        "/assets/..%2findex.html",
    ] {
        let answer = world.get(path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(answer.problem(), "unknown-path");
    }
    let answer = world.call(Method::POST, "/").await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
}
