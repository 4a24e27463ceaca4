//! The access rules: which scope a request needs. This file has the only list of open paths.

use axum::extract::Request;
use axum::http::header::{ACCESS_CONTROL_REQUEST_METHOD, ORIGIN};
use axum::http::{HeaderMap, Method};

/// A permission of a token. Neither scope includes the other: a program that reports progress need
/// not read all tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// `progress:read`: GET and HEAD.
    Read,
    /// `progress:write`: all other methods.
    Write,
    /// `progress:logs`: GET and HEAD of the lines of a log. They may hold what progress does not.
    Logs,
}

impl Scope {
    /// The name in tokens.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "progress:read",
            Self::Write => "progress:write",
            Self::Logs => "progress:logs",
        }
    }
}

/// The access rule for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// No token is needed.
    Open,
    /// A token with this scope is needed.
    Needs(Scope),
}

impl Access {
    pub(super) fn to(request: &Request) -> Self {
        Self::of(request.method(), request.uri().path(), request.headers())
    }

    fn of(method: &Method, path: &str, headers: &HeaderMap) -> Self {
        let is_read = matches!(*method, Method::GET | Method::HEAD);
        if is_read && is_open(path) || is_preflight(method, headers) {
            Self::Open
        } else if is_read && is_log(path) {
            Self::Needs(Scope::Logs)
        } else if is_read || method == Method::OPTIONS {
            Self::Needs(Scope::Read)
        } else {
            Self::Needs(Scope::Write)
        }
    }
}

/// Whether a path is the log of a task: `/api/tasks/{id}/log`.
fn is_log(path: &str) -> bool {
    let id = path
        .strip_prefix("/api/tasks/")
        .and_then(|rest| rest.strip_suffix("/log"));
    id.is_some_and(|id| !id.contains('/'))
}

/// Whether a path is open to everyone. Open paths show no task and no project.
///
/// `/ready` is not open, because it shows the state of internal services and sends a request to
/// each. Monitors without a token can use `/health`.
fn is_open(path: &str) -> bool {
    matches!(
        path,
        "/" | "/health" | "/openapi.json" | "/docs" | "/favicon.ico" | "/favicon.svg"
    ) || path.starts_with("/docs/")
        || path.starts_with("/assets/")
}

/// Whether a request is a CORS preflight. Browsers send it without the token of the user.
fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(method: &str, path: &str) -> Access {
        Access::of(&method.parse().unwrap(), path, &HeaderMap::new())
    }

    #[test]
    fn paths_that_are_not_listed_need_a_token() {
        for path in [
            "/ready",
            "/api",
            "/api/",
            "/api/tasks",
            "/API/tasks",
            "//",
            "/health/",
            "/healthz",
            "/assets",
            "/docsx",
            "/openapi.json/x",
            "/%61pi/tasks",
            "/nowhere",
            "*",
            "",
        ] {
            assert_eq!(of("GET", path), Access::Needs(Scope::Read), "{path}");
            assert_eq!(of("POST", path), Access::Needs(Scope::Write), "{path}");
        }
    }

    #[test]
    fn open_paths_are_open_only_for_get_and_head() {
        for path in [
            "/",
            "/health",
            "/openapi.json",
            "/docs",
            "/docs/x",
            "/assets/page.js",
        ] {
            assert_eq!(of("GET", path), Access::Open, "{path}");
            assert_eq!(of("HEAD", path), Access::Open, "{path}");
            assert_eq!(of("POST", path), Access::Needs(Scope::Write), "{path}");
        }
    }

    #[test]
    fn unknown_methods_need_the_write_scope() {
        for method in [
            "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "get", "MOVE",
        ] {
            let access = of(method, "/api/tasks");
            assert_eq!(access, Access::Needs(Scope::Write), "{method}");
        }
    }

    #[test]
    fn only_a_real_preflight_is_open() {
        let mut headers = HeaderMap::new();
        let path = "/api/tasks";
        assert_eq!(of("OPTIONS", path), Access::Needs(Scope::Read));
        headers.insert(ORIGIN, "https://example.com".parse().unwrap());
        let options = Access::of(&Method::OPTIONS, path, &headers);
        assert_eq!(options, Access::Needs(Scope::Read));
        headers.insert(ACCESS_CONTROL_REQUEST_METHOD, "GET".parse().unwrap());
        assert_eq!(Access::of(&Method::OPTIONS, path, &headers), Access::Open);
        let get = Access::of(&Method::GET, path, &headers);
        assert_eq!(get, Access::Needs(Scope::Read));
    }
}
