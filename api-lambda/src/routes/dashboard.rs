//! `/`: the dashboard. Its files are compiled into the program.
//!
//! Browsers revalidate the page at each visit. The names of the style sheet and the script contain
//! a hash of their content, so browsers can store these two forever. The build compresses them.

mod assets;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, VARY,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use shared::validator::Validator;

use crate::api_gateway::BasePath;
use crate::etag::IfNoneMatch;
use crate::problem::ApiError;
use crate::push::PushEndpoint;
use crate::state::ApiState;
use assets::Asset;

/// The page can load only its own files, and can send requests only to its own API and to the server
/// of live push. So text from logs can't run as code, even if a bug inserted it as markup.
fn policy(push: Option<&PushEndpoint>) -> String {
    let push = push.and_then(|push| push.origin.as_deref());
    let push = push.map(|origin| format!(" {origin}")).unwrap_or_default();
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
         connect-src 'self'{push}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'"
    )
}

/// `x-frame-options` is `frame-ancestors` for older browsers. The opener policy separates the
/// window from pages that opened it.
const HEADERS: [(&str, &str); 2] = [
    ("x-frame-options", "DENY"),
    ("cross-origin-opener-policy", "same-origin"),
];

pub(super) fn routes() -> Router<ApiState> {
    Router::new()
        .route("/", get(page))
        .route("/assets/{name}", get(asset))
}

async fn page(State(state): State<ApiState>, base: BasePath, known: IfNoneMatch) -> Response {
    let validator = Validator::from(assets::PAGE_HASH.to_owned());
    let make = || assets::page(base.as_str()).into_response();
    let mut response = known.respond_with(&validator, make);
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    set(CONTENT_TYPE, "text/html; charset=utf-8");
    set(CACHE_CONTROL, "no-cache");
    for (name, value) in HEADERS {
        set(HeaderName::from_static(name), value);
    }
    let policy = HeaderValue::try_from(policy(state.push.as_ref()));
    let policy = policy.expect("a policy has only printable ASCII");
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    response
}

async fn asset(Path(name): Path<String>, request: HeaderMap) -> Result<Response, ApiError> {
    let asset = Asset::find(&name).ok_or(ApiError::UnknownPath)?;
    let mut response = if accepts_gzip(&request) {
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

/// Whether the client accepts gzip. `gzip;q=0` refuses it.
fn accepts_gzip(request: &HeaderMap) -> bool {
    let headers = request.get_all(ACCEPT_ENCODING).iter();
    let lists = headers.filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|coding| {
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

    fn check(accept_encoding: &'static str, expected: bool) {
        let mut request = HeaderMap::new();
        request.insert(ACCEPT_ENCODING, HeaderValue::from_static(accept_encoding));
        assert_eq!(accepts_gzip(&request), expected, "{accept_encoding}");
    }

    #[test]
    fn gzip_is_sent_to_clients_that_accept_it() {
        assert!(!accepts_gzip(&HeaderMap::new()));
        check("gzip, deflate, br, zstd", true);
        check("br;q=1, GZIP;q=0.5", true);
        check("gzip;q=0", false);
        check("gzip; q=0.000, br", false);
        check("identity", false);
        check("gzipped", false);
    }
}
