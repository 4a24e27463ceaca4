//! `/`: the dashboard, a page for people who would rather look than ask. Its files are in this program.
//!
//! The page itself is asked for anew each time, and names its style and its script by their content: these two
//! are kept by browsers for ever. They are compressed when the program is built.

mod assets;

use axum::Router;
use axum::extract::Path;
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, VARY,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use shared::task_reader::Validator;

use crate::etag::IfNoneMatch;
use crate::front_door::BasePath;
use crate::problem::ApiError;
use crate::state::ApiState;
use assets::Asset;

/// What the page may do: run and show its own files, and ask its own API. What logs say can't add to that,
/// even if it were ever taken for more than text.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

/// The older way to say `frame-ancestors`, and a window that no other page has a hold on.
const HEADERS: [(&str, &str); 2] = [
    ("x-frame-options", "DENY"),
    ("cross-origin-opener-policy", "same-origin"),
];

pub(crate) fn routes() -> Router<ApiState> {
    Router::new()
        .route("/", get(page))
        .route("/assets/{name}", get(asset))
}

async fn page(base: BasePath, known: IfNoneMatch) -> Response {
    let validator = Validator::from(assets::PAGE_HASH.to_owned());
    let make = || assets::page(base.as_str()).into_response();
    let mut response = known.respond_with(&validator, make);
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    set(CONTENT_TYPE, "text/html; charset=utf-8");
    set(CONTENT_SECURITY_POLICY, POLICY);
    set(CACHE_CONTROL, "no-cache");
    for (name, value) in HEADERS {
        set(HeaderName::from_static(name), value);
    }
    response
}

async fn asset(Path(name): Path<String>, request: HeaderMap) -> Result<Response, ApiError> {
    let asset = Asset::find(&name).ok_or(ApiError::UnknownPath)?;
    let mut response = if takes_gzip(&request) {
        let gzip = HeaderValue::from_static("gzip");
        ([(CONTENT_ENCODING, gzip)], asset.gzip).into_response()
    } else {
        asset.plain.into_response()
    };
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    set(CONTENT_TYPE, asset.content_type);
    set(CACHE_CONTROL, "public, max-age=31536000, immutable");
    set(VARY, "accept-encoding");
    Ok(response)
}

/// Whether the client takes gzip: it names it, and not to refuse it (`gzip;q=0`).
fn takes_gzip(request: &HeaderMap) -> bool {
    let offers = request.get_all(ACCEPT_ENCODING).iter();
    let offers = offers.filter_map(|offer| offer.to_str().ok());
    offers.flat_map(|offer| offer.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let is_gzip = parts
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let quality = parts.find_map(|part| part.strip_prefix("q="));
        is_gzip && quality.is_none_or(|q| q.parse::<f32>().is_ok_and(|q| q > 0.0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(offer: &'static str, expected: bool) {
        let mut request = HeaderMap::new();
        request.insert(ACCEPT_ENCODING, HeaderValue::from_static(offer));
        assert_eq!(takes_gzip(&request), expected, "{offer}");
    }

    #[test]
    fn gzip_is_sent_to_who_takes_it() {
        assert!(!takes_gzip(&HeaderMap::new()));
        check("gzip, deflate, br, zstd", true);
        check("br;q=1, GZIP;q=0.5", true);
        check("gzip;q=0", false);
        check("gzip; q=0.000, br", false);
        check("identity", false);
        check("gzipped", false);
    }
}
