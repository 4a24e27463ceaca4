//! Where Lambda's front doors differ: the stage of an API Gateway API in the path.
//!
//! A named stage stands before the path that a client asks for (`/prod/api/tasks`). An HTTP API leaves it
//! in the event's path and a REST API takes it out; the Lambda runtime puts it back, unless a variable is
//! set. So it is taken off here, by what the event itself says, before a route is chosen.
//!
//! And bytes: a function gives its answer to the door as text, or in base64 if it is compressed. A REST API hands the
//! base64 on as it is, unless it is set up to take the media type for a binary one. It can compress by itself.

use axum::extract::{FromRequestParts, Request};
use axum::http::Uri;
use axum::http::header::ACCEPT_ENCODING;
use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use lambda_http::RequestExt as _;
use lambda_http::request::RequestContext;
use std::convert::Infallible;

/// What stands before our paths in the client's view: empty, or `/` and the stage.
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

/// Takes the stage off the path, and remembers it as [`BasePath`] where the client has to name it; lets no answer
/// be compressed that could not be handed on.
pub(crate) fn normalize(request: &mut Request) {
    if let Some(RequestContext::ApiGatewayV1(_)) = request.request_context_ref() {
        request.headers_mut().remove(ACCEPT_ENCODING);
    }
    if let Some(door) = request.request_context_ref().and_then(Door::of) {
        let base = door.base_path(request.raw_http_path());
        if let Some(path) = door.without_stage(request.uri().path(), request.raw_http_path())
            && let Some(uri) = with_path(request.uri(), path)
        {
            *request.uri_mut() = uri;
        }
        request.extensions_mut().insert(base);
    }
}

/// What an event says of a named stage.
struct Door {
    /// The stage with its slash: `/prod`.
    stage: String,
    /// The path that the client asked for.
    client_path: Option<String>,
}

impl Door {
    /// `None` where there is no stage, or the default one, which no path shows.
    fn of(context: &RequestContext) -> Option<Self> {
        let (stage, client_path) = match context {
            RequestContext::ApiGatewayV1(context) => (&context.stage, &context.path),
            RequestContext::ApiGatewayV2(context) => (&context.stage, &context.http.path),
            _ => return None,
        };
        let stage = stage.as_deref().filter(|stage| *stage != "$default")?;
        Some(Self {
            stage: format!("/{stage}"),
            client_path: client_path.clone(),
        })
    }

    /// `path`, as the runtime made it from the event's `raw_path`, without the stage; `None` if it is not
    /// there.
    fn without_stage<'a>(&self, path: &'a str, raw_path: &str) -> Option<&'a str> {
        // A path may begin with the stage's name by chance: `/api/tasks` in a stage named `api`. The
        // runtime then takes it for the stage. The client's path shows that the stage is yet to come.
        let begins_by_chance = path == raw_path && self.is_put_before(raw_path);
        let rest = path
            .strip_prefix(&self.stage)
            .filter(|_| !begins_by_chance)?;
        match rest {
            "" => Some("/"),
            // The runtime does not see the stage in a path that is nothing else, and puts it there again.
            rest if rest == self.stage && raw_path == self.stage => Some("/"),
            rest => rest.starts_with('/').then_some(rest),
        }
    }

    /// The stage, if the client's path has it, and it is no part of our own.
    fn base_path(&self, raw_path: &str) -> BasePath {
        let own = self.without_stage(raw_path, raw_path).unwrap_or(raw_path);
        if self.is_put_before(own) {
            BasePath(self.stage.clone())
        } else {
            BasePath::default()
        }
    }

    /// Whether the client asked for `path` with the stage before it.
    fn is_put_before(&self, path: &str) -> bool {
        let client_path = self.client_path.as_deref();
        let rest = client_path.and_then(|client| client.strip_prefix(&self.stage));
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

    /// Checks what becomes of a path: the event's (`raw`) and the runtime's (`path`), in a stage.
    fn check(stage: &str, client: &str, raw: &str, path: &str, expected: (&str, &str)) {
        let door = Door {
            stage: format!("/{stage}"),
            client_path: Some(client.to_owned()),
        };
        let own = door.without_stage(path, raw).unwrap_or(path);
        let base = door.base_path(raw);
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
    fn a_rest_api_takes_it_out_and_the_runtime_puts_it_back() {
        let (client, raw) = ("/prod/api/tasks", "/api/tasks");
        check("prod", client, raw, client, ("/api/tasks", "/prod"));
    }

    #[test]
    fn the_runtime_may_be_told_to_leave_the_path_alone() {
        let (client, raw) = ("/prod/api/tasks", "/api/tasks");
        check("prod", client, raw, raw, ("/api/tasks", "/prod"));
    }

    #[test]
    fn a_domain_of_ones_own_shows_no_stage() {
        let (client, path) = ("/api/tasks", "/prod/api/tasks");
        check("prod", client, client, path, ("/api/tasks", ""));
    }

    #[test]
    fn a_stage_may_be_named_as_our_paths_begin() {
        let (client, raw) = ("/api/api/tasks", "/api/tasks");
        check("api", client, raw, raw, ("/api/tasks", "/api"));
    }

    #[test]
    fn only_a_whole_segment_is_a_stage() {
        let path = "/production/api";
        check("prod", path, path, path, (path, ""));
    }

    #[test]
    fn a_query_stays() {
        let uri = Uri::from_static("https://host/prod/api/tasks?limit=1");
        let expected = Uri::from_static("https://host/api/tasks?limit=1");
        assert_eq!(with_path(&uri, "/api/tasks"), Some(expected));
    }
}
