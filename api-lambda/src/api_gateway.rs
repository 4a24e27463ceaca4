//! Differences between the HTTP services that invoke the function: the stage of an API Gateway API,
//! and compressed responses.
//!
//! A named stage comes before the path that a client requests (`/prod/api/tasks`). An HTTP API
//! leaves the stage in the event's path. A REST API removes it, and the Lambda runtime adds it
//! again unless a variable is set. [`normalize`] removes the stage before routing.
//!
//! A function returns a compressed response in base64. A REST API decodes base64 only for media
//! types that it is configured to treat as binary. It can compress responses itself.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, Request};
use axum::http::Uri;
use axum::http::header::ACCEPT_ENCODING;
use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use lambda_http::RequestExt as _;
use lambda_http::request::RequestContext;

/// The prefix of our paths as the client sees them: empty, or `/` and the stage.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct BasePath(String);

impl BasePath {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<S: Sync> FromRequestParts<S> for BasePath {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().cloned().unwrap_or_default())
    }
}

/// Removes the stage from the path. If clients have to write the stage, it becomes the
/// [`BasePath`].
///
/// For a REST API, it also turns off compression.
pub(crate) fn normalize(request: &mut Request) {
    if let Some(RequestContext::ApiGatewayV1(_)) = request.request_context_ref() {
        request.headers_mut().remove(ACCEPT_ENCODING);
    }
    if let Some(stage) = request.request_context_ref().and_then(Stage::of) {
        let base = stage.base_path(request.raw_http_path());
        if let Some(path) = stage.removed_from(request.uri().path(), request.raw_http_path())
            && let Some(uri) = with_path(request.uri(), path)
        {
            *request.uri_mut() = uri;
        }
        request.extensions_mut().insert(base);
    }
}

/// The named stage of an event.
struct Stage {
    /// The stage as the start of a path: `/prod`.
    prefix: String,
    /// The path that the client requested.
    client_path: Option<String>,
}

impl Stage {
    /// `None` without a stage, or for the default stage, which is in no path.
    fn of(context: &RequestContext) -> Option<Self> {
        let (stage, client_path) = match context {
            RequestContext::ApiGatewayV1(context) => (&context.stage, &context.path),
            RequestContext::ApiGatewayV2(context) => (&context.stage, &context.http.path),
            _ => return None,
        };
        let stage = stage.as_deref().filter(|stage| *stage != "$default")?;
        Some(Self {
            prefix: format!("/{stage}"),
            client_path: client_path.clone(),
        })
    }

    /// `path` without the stage; `None` if it does not start with the stage.
    ///
    /// The runtime made `path` from the event's `raw_path`.
    fn removed_from<'a>(&self, path: &'a str, raw_path: &str) -> Option<&'a str> {
        // A path can start with the name of the stage by chance: `/api/tasks` in a stage named
        // `api`. The runtime then does not add the stage. The client's path has the stage in
        // addition.
        let starts_by_chance = path == raw_path && self.is_before(raw_path);
        let rest = path
            .strip_prefix(&self.prefix)
            .filter(|_| !starts_by_chance)?;
        match rest {
            "" => Some("/"),
            // The runtime adds the stage a second time to a path that is only the stage.
            rest if rest == self.prefix && raw_path == self.prefix => Some("/"),
            rest => rest.starts_with('/').then_some(rest),
        }
    }

    /// The stage, if the client's path starts with it and our own path does not.
    fn base_path(&self, raw_path: &str) -> BasePath {
        let own = self.removed_from(raw_path, raw_path).unwrap_or(raw_path);
        if self.is_before(own) {
            BasePath(self.prefix.clone())
        } else {
            BasePath::default()
        }
    }

    /// Whether the client requested `path` with the stage before it.
    fn is_before(&self, path: &str) -> bool {
        let client_path = self.client_path.as_deref();
        let rest = client_path.and_then(|client| client.strip_prefix(&self.prefix));
        rest.map(|rest| if rest.is_empty() { "/" } else { rest }) == Some(path)
    }
}

fn with_path(uri: &Uri, path: &str) -> Option<Uri> {
    let path_and_query = match uri.query() {
        Some(query) => PathAndQuery::try_from(format!("{path}?{query}")),
        None => PathAndQuery::try_from(path),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path_and_query.ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks our path and the base path, given the path of the event (`raw`) and of the runtime
    /// (`path`).
    fn check(stage: &str, client: &str, raw: &str, path: &str, expected: (&str, &str)) {
        let stage = Stage {
            prefix: format!("/{stage}"),
            client_path: Some(client.to_owned()),
        };
        let own = stage.removed_from(path, raw).unwrap_or(path);
        let base = stage.base_path(raw);
        assert_eq!((own, base.as_str()), expected, "{client} {raw} {path}");
    }

    #[test]
    fn an_http_api_leaves_the_stage_in_the_path() {
        let path = "/prod/api/tasks";
        check("prod", path, path, path, ("/api/tasks", "/prod"));
        check("prod", "/prod", "/prod", "/prod", ("/", "/prod"));
        check("prod", "/prod", "/prod", "/prod/prod", ("/", "/prod"));
        let twice = "/api/api/tasks";
        check("api", twice, twice, twice, ("/api/tasks", "/api"));
    }

    #[test]
    fn a_rest_api_removes_the_stage_and_the_runtime_adds_it() {
        let (client, raw) = ("/prod/api/tasks", "/api/tasks");
        check("prod", client, raw, client, ("/api/tasks", "/prod"));
    }

    #[test]
    fn the_runtime_can_be_configured_not_to_add_the_stage() {
        let (client, raw) = ("/prod/api/tasks", "/api/tasks");
        check("prod", client, raw, raw, ("/api/tasks", "/prod"));
    }

    #[test]
    fn a_custom_domain_has_no_stage_in_its_paths() {
        let (client, path) = ("/api/tasks", "/prod/api/tasks");
        check("prod", client, client, path, ("/api/tasks", ""));
    }

    #[test]
    fn a_stage_can_have_the_name_of_our_first_segment() {
        let (client, raw) = ("/api/api/tasks", "/api/tasks");
        check("api", client, raw, raw, ("/api/tasks", "/api"));
    }

    #[test]
    fn only_a_whole_segment_is_a_stage() {
        let path = "/production/api";
        check("prod", path, path, path, (path, ""));
    }

    #[test]
    fn the_query_is_kept() {
        let uri = Uri::from_static("https://host/prod/api/tasks?limit=1");
        let expected = Uri::from_static("https://host/api/tasks?limit=1");
        assert_eq!(with_path(&uri, "/api/tasks"), Some(expected));
    }
}
