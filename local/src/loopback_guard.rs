//! Keeps web pages of other origins away from an API that asks nobody who they are.
//!
//! A page in a browser on this machine can send requests to a loopback address, and a name that its owner
//! points to 127.0.0.1 (DNS rebinding) even makes such requests same-origin. So `Host` must be a name of
//! this server, and `Origin`, where a browser sends it, must be this server or an origin that CORS allows.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, HOST, HeaderValue, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use shared::config::Settings;

/// Which hosts and origins may use the API.
#[derive(Debug)]
pub(crate) struct LoopbackGuard {
    /// Names of this server, in lower case and without ports.
    hosts: Vec<String>,
    /// Whether the API listens on other addresses than loopback: then every IP address is a name of it.
    is_public: bool,
    /// `CORS_ALLOWED_ORIGINS`.
    origins: Vec<String>,
}

impl LoopbackGuard {
    /// A guard for an API that listens on `address`. `allowed_hosts` are further names of it.
    pub(crate) fn new(address: IpAddr, allowed_hosts: &[String], settings: &Settings<'_>) -> Self {
        let own = ["localhost", "127.0.0.1", "[::1]"].map(str::to_owned);
        let allowed = allowed_hosts.iter().map(|host| host.to_ascii_lowercase());
        let origins = settings.optional("CORS_ALLOWED_ORIGINS");
        let origins = origins.as_deref().unwrap_or_default().split(',');
        Self {
            hosts: own.into_iter().chain(allowed).collect(),
            is_public: !address.is_loopback(),
            origins: origins.map(|origin| origin.trim().to_owned()).collect(),
        }
    }

    /// `router` behind this guard.
    pub(crate) fn protect(self, router: Router) -> Router {
        router.layer(middleware::from_fn_with_state(Arc::new(self), check))
    }

    /// Why a request with these headers is refused; `None` if it is not.
    fn refusal(&self, host: Option<&HeaderValue>, origin: Option<&HeaderValue>) -> Option<String> {
        let host = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
        let Some(host) = host.filter(|host| self.is_own(host)) else {
            return Some(
                "the Host header is no name of this server: use localhost or 127.0.0.1, \
                 or start it with --allow-host NAME"
                    .to_owned(),
            );
        };
        let origin = origin?.to_str().unwrap_or_default();
        let is_same = Uri::try_from(origin).is_ok_and(|origin| origin.authority() == Some(&host));
        let is_allowed = |allowed: &String| allowed == origin || allowed == "*";
        (!is_same && !self.origins.iter().any(is_allowed)).then(|| {
            format!(
                "pages of {origin} may not use this server: \
                 set CORS_ALLOWED_ORIGINS to allow them"
            )
        })
    }

    fn is_own(&self, host: &Authority) -> bool {
        let name = host.host().to_ascii_lowercase();
        let address = name.trim_start_matches('[').trim_end_matches(']');
        self.hosts.contains(&name) || (self.is_public && address.parse::<IpAddr>().is_ok())
    }
}

async fn check(State(guard): State<Arc<LoopbackGuard>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let authority = request.uri().authority(); // of HTTP/2, and of a request in absolute form
    let authority = authority.and_then(|it| HeaderValue::from_str(it.as_str()).ok());
    let host = headers.get(HOST).or(authority.as_ref());
    match guard.refusal(host, headers.get(ORIGIN)) {
        None => next.run(request).await,
        Some(detail) => {
            let problem = serde_json::json!({
                "type": "about:blank", "title": "Forbidden", "status": 403, "detail": detail,
            });
            let content_type = [(CONTENT_TYPE, "application/problem+json")];
            (StatusCode::FORBIDDEN, content_type, problem.to_string()).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_allowed(address: &str, host: &str, origin: Option<&str>) -> bool {
        let lookup = |name: &str| {
            (name == "CORS_ALLOWED_ORIGINS").then(|| "https://a.test, https://b.test".to_owned())
        };
        let settings = Settings::new(&lookup);
        let allowed_hosts = ["Proxy.test".to_owned()];
        let guard = LoopbackGuard::new(address.parse().unwrap(), &allowed_hosts, &settings);
        let header = |value: &str| HeaderValue::from_str(value).unwrap();
        let refusal = guard.refusal(Some(&header(host)), origin.map(header).as_ref());
        refusal.is_none()
    }

    #[test]
    fn host_must_be_a_name_of_this_server() {
        for host in [
            "localhost:9000",
            "127.0.0.1:1",
            "[::1]:9000",
            "LOCALHOST",
            "proxy.test:80",
        ] {
            assert!(is_allowed("127.0.0.1", host, None), "{host}");
        }
        for host in [
            "evil.test",
            "127.0.0.1.evil.test:9000",
            "192.168.1.7:9000",
            "",
            "@",
        ] {
            assert!(!is_allowed("127.0.0.1", host, None), "{host}");
        }
        assert!(is_allowed("0.0.0.0", "192.168.1.7:9000", None));
        assert!(!is_allowed("0.0.0.0", "evil.test:9000", None));
    }

    #[test]
    fn a_page_must_be_of_this_server_or_allowed_by_cors() {
        let host = "localhost:9000";
        for origin in ["http://localhost:9000", "https://a.test", "https://b.test"] {
            assert!(is_allowed("127.0.0.1", host, Some(origin)), "{origin}");
        }
        for origin in [
            "http://localhost:9001",
            "https://evil.test",
            "null",
            "http://127.0.0.1:9000",
        ] {
            assert!(!is_allowed("127.0.0.1", host, Some(origin)), "{origin}");
        }
    }
}
