//! What a request needs: nothing, or a scope. The one place that says what is open.

use axum::extract::Request;
use axum::http::header::{ACCESS_CONTROL_REQUEST_METHOD, ORIGIN};
use axum::http::{HeaderMap, Method};

/// What a token may be good for. Neither includes the other: who reports progress need not see everyone's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// `progress:read`: GET and HEAD.
    Read,
    /// `progress:write`: every method that may change something.
    Write,
}

impl Scope {
    /// Its name in tokens.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "progress:read",
            Self::Write => "progress:write",
        }
    }
}

/// What a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Open,
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
        } else if is_read || method == Method::OPTIONS {
            Self::Needs(Scope::Read)
        } else {
            Self::Needs(Scope::Write)
        }
    }
}

/// Paths that hold no task and no project, and are the same for everyone. `/ready` is not one of them: it
/// tells how the parts inside are, and costs a request to each; `/health` is for those who only watch.
fn is_open(path: &str) -> bool {
    matches!(
        path,
        "/" | "/health" | "/openapi.json" | "/docs" | "/favicon.ico" | "/favicon.svg"
    ) || path.starts_with("/docs/")
        || path.starts_with("/assets/")
}

/// Whether a browser asks what it may ask; it does so without the user's token.
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
    fn what_is_not_on_the_list_is_not_open() {
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
    fn what_is_open_is_open_to_readers_alone() {
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
    fn a_method_that_nobody_knows_may_change_something() {
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
